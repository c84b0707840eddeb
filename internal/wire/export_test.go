package wire

import "postern/envoy/extauthz"

// Checks is the Check service, to be asked without a network.
func (s *Server) Checks() *extauthz.Server { return s.service }
