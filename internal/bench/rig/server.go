package rig

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"postern/internal/bench/measure"
	"postern/internal/testenv"
)

// stopBound is how long a server may take to stop.
const stopBound = 15 * time.Second

// Server is one that runs.
type Server struct {
	Name    string // noop or postern
	Address string // of the Check service, host:port or unix:///path

	metrics string // host:port
	process *testenv.Process
	client  *http.Client
	conn    *grpc.ClientConn
}

// Start runs the stock server on the address, or on a free port where it is empty.
// cpus are those that it may use, as taskset takes them.
func (r *Rig) Start(ctx context.Context, address, cpus string) (*Server, error) {
	metrics, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return r.start(ctx, &Server{Name: "noop", Address: address, metrics: metrics}, cpus, nil, func(s *Server) []string {
		return []string{r.Path("noop"), "-listen", s.Address, "-metrics", s.metrics}
	})
}

// start runs a server and waits until it can be asked.
func (r *Rig) start(ctx context.Context, s *Server, cpus string, env []string, command func(*Server) []string) (*Server, error) {
	var err error
	if s.Address == "" {
		if s.Address, err = freeAddress(); err != nil {
			return nil, err
		}
	}
	s.client = r.client
	s.process, err = testenv.Start(testenv.Command{
		Name: s.Name, Path: "taskset", Args: append([]string{"-c", cpus}, command(s)...), // which becomes the server
		Env: environment(env...), Log: r.Path(r.number(s.Name) + ".log"),
	})
	if err != nil {
		return nil, fmt.Errorf("%w; internal/testenv/install.sh installs taskset", err)
	}
	if err := s.wait(ctx); err != nil {
		s.process.Kill()
		return nil, err
	}
	target := "passthrough:///" + s.Address
	if strings.HasPrefix(s.Address, "unix://") {
		target = s.Address
	}
	s.conn, err = grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials())) // loopback
	if err != nil {
		s.process.Kill()
		return nil, err
	}
	return s, nil
}

func (s *Server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	network, address := "tcp", s.Address
	if path, unix := strings.CutPrefix(address, "unix://"); unix {
		network, address = "unix", path
	}
	return errors.Join(s.process.WaitForPort(ctx, network, address), s.process.WaitForPort(ctx, "tcp", s.metrics))
}

// Stop ends the server.
func (s *Server) Stop() {
	_ = s.conn.Close()
	s.process.Stop(stopBound)
}

// PID is the process id.
func (s *Server) PID() int { return s.process.PID() }

// Log is the file with what the server wrote.
func (s *Server) Log() string { return s.process.Log() }

// Metrics are the server's at this moment.
func (s *Server) Metrics(ctx context.Context) (measure.Metrics, error) {
	m, err := measure.Scrape(ctx, s.client, s.metrics)
	if err != nil {
		return m, fmt.Errorf("%s: %w, see %s", s.Name, err, s.Log())
	}
	return m, nil
}

// Ask sends one framed message as an ordinary client and returns the verdict and,
// of Postern, the true reason.
func (s *Server) Ask(ctx context.Context, frame []byte) (allowed bool, reason string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request := &authv3.CheckRequest{}
	if err := proto.Unmarshal(frame[5:], request); err != nil {
		return false, "", fmt.Errorf("a request that is no CheckRequest: %w", err)
	}
	response, err := authv3.NewAuthorizationClient(s.conn).Check(ctx, request)
	if err != nil {
		return false, "", fmt.Errorf("ask %s: %w, see %s", s.Name, err, s.Log())
	}
	facts := response.GetDynamicMetadata().GetFields()["postern"].GetStructValue().GetFields()
	return response.GetStatus().GetCode() == 0, facts["reason"].GetStringValue(), nil
}
