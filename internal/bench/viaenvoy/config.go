package viaenvoy

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// object is a part of Envoy's configuration.
type object = map[string]any

func typed(name string, fields object) object {
	config := object{"@type": "type.googleapis.com/" + name}
	for key, value := range fields {
		config[key] = value
	}
	return config
}

func filter(name, message string, fields object) object {
	return object{"name": name, "typed_config": typed(message, fields)}
}

// direct is the route of all fronts: Envoy answers itself, behind the filters.
func direct() []any {
	return []any{object{"match": object{"prefix": "/"}, "direct_response": object{"status": 200, "body": object{"inline_string": "ok"}}}}
}

// listener is one as Envoy comes, with a filter before the route or none.
func listener(name string, port int, filters ...object) object {
	all := []any{}
	for _, one := range filters {
		all = append(all, one)
	}
	all = append(all, filter("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", nil))
	return at(port, object{"name": name, "filter_chains": []any{object{"filters": []any{filter(
		"envoy.filters.network.http_connection_manager",
		"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		object{
			"stat_prefix": "front", "http_filters": all,
			"route_config": object{"virtual_hosts": []any{object{"name": "all", "domains": []any{"*"}, "routes": direct()}}},
		})}}}})
}

func at(port int, listener object) object {
	listener["address"] = object{"socket_address": object{"address": "127.0.0.1", "port_value": port}}
	return listener
}

// apiKeyFilter is Envoy's own filter for API keys, with the one key.
func apiKeyFilter(key string) object {
	return filter("envoy.filters.http.api_key_auth", "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth", object{
		"credentials": []any{object{"key": key, "client": "client"}},
		"key_sources": []any{object{"header": "authorization"}},
	})
}

// jwtFilter is Envoy's own filter for tokens, with the issuer's keys at hand.
func jwtFilter(issuer, audience, jwks string) object {
	return filter("envoy.filters.http.jwt_authn", "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication", object{
		"providers": object{"issuer": object{"issuer": issuer, "audiences": []any{audience}, "local_jwks": object{"inline_string": jwks}}},
		"rules":     []any{object{"match": object{"prefix": "/"}, "requires": object{"provider_name": "issuer"}}},
	})
}

// stockFilter asks a server as the documentation of Envoy shows it, and no more.
func stockFilter(cluster string) object {
	return filter("envoy.filters.http.ext_authz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", object{
		"transport_api_version": "V3", "grpc_service": object{"envoy_grpc": object{"cluster_name": cluster}},
	})
}

// address of a server as a cluster's endpoint: host:port or unix:///path.
func endpoint(address string) (object, error) {
	if path, unix := strings.CutPrefix(address, "unix://"); unix {
		return object{"pipe": object{"path": path}}, nil
	}
	var port int
	if _, err := fmt.Sscanf(address, "127.0.0.1:%d", &port); err != nil {
		return nil, fmt.Errorf("the address %q is none of loopback: %w", address, err)
	}
	return object{"socket_address": object{"address": "127.0.0.1", "port_value": port}}, nil
}

// cluster is one of HTTP/2 and nothing else that is not Envoy's default.
func cluster(name, address string) (object, error) {
	where, err := endpoint(address)
	if err != nil {
		return nil, err
	}
	return object{
		"name": name,
		"typed_extension_protocol_options": object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions", object{"explicit_http_config": object{"http2_protocol_options": object{}}})},
		"load_assignment": assignment(name, where),
	}, nil
}

func assignment(name string, where object) object {
	return object{"cluster_name": name, "endpoints": []any{object{"lb_endpoints": []any{object{"endpoint": object{"address": where}}}}}}
}

// reference is the project's configuration that sends Postern fewer headers.
type reference struct {
	Runtime object `yaml:"layered_runtime"`
	Static  struct {
		Listeners []object `yaml:"listeners"`
		Clusters  []object `yaml:"clusters"`
	} `yaml:"static_resources"`
}

// guarded is the reference's listener of the profile, with everything that it does for
// a request that is allowed, but for two things: it writes no access log, as the other
// fronts write none, and Envoy answers itself. Such an answer would be held against
// the bodies for Envoy's own errors, which an upstream's is not: they are left out. With
// it comes the reference's cluster, at the server's address.
func guarded(text []byte, profile, name string, port int, address string) (listener, cluster object, err error) {
	var r reference // anew each time, because it is changed
	if err := yaml.Unmarshal(text, &r); err != nil {
		return nil, nil, fmt.Errorf("read the reference configuration: %w", err)
	}
	where, err := endpoint(address)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range r.Static.Listeners {
		if l["name"] == profile {
			listener = at(port, l)
			listener["name"] = name
		}
	}
	for _, c := range r.Static.Clusters {
		if c["name"] == "postern_check" {
			cluster = c
			cluster["name"], cluster["load_assignment"] = name, assignment(name, where)
		}
	}
	if listener == nil || cluster == nil {
		return nil, nil, fmt.Errorf("the reference configuration has no listener %q or no cluster postern_check", profile)
	}
	change(listener, "routes", direct())
	change(listener, "access_log", []any{})
	change(listener, "local_reply_config", object{})
	change(listener, "cluster_name", name)
	return listener, cluster, nil
}

// change replaces the values of the key, wherever they stand.
func change(node any, key string, value any) {
	switch node := node.(type) {
	case object:
		for name := range node {
			if name == key {
				node[name] = value
				continue
			}
			change(node[name], key, value)
		}
	case []any:
		for i := range node {
			change(node[i], key, value)
		}
	}
}

// bootstrap is the whole configuration. JSON is YAML, too.
func bootstrap(text []byte, listeners, clusters []object) ([]byte, error) {
	var r reference
	if err := yaml.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read the reference configuration: %w", err)
	}
	return json.MarshalIndent(object{
		"layered_runtime":  r.Runtime,
		"static_resources": object{"listeners": listeners, "clusters": clusters},
	}, "", " ")
}
