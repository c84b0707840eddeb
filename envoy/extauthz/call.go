package extauthz

import (
	"errors"
	"sync"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"postern/authz"
)

// call is one Check under way. What it holds is used again by later ones.
type call struct {
	reading
	decision authz.Decision
	pool     *sync.Pool

	request  mem.Buffer // nil: there is none, or it was given back
	response *[]byte    // from the buffers; nil: there is none, or it was handed on
}

// buffers lends the memory of requests and responses.
var buffers = mem.DefaultBufferPool()

// responseSize is what a response is lent at first; most are shorter.
const responseSize = 2 << 10

// release ends the call: its request and what points into it are let go.
func (c *call) release() {
	if c.request != nil {
		c.request.Free()
		c.request = nil
	}
	if c.response != nil {
		buffers.Put(c.response)
		c.response = nil
	}
	c.forget()
	c.decision.Reset()
	c.pool.Put(c)
}

// forget drops every view of the request.
func (r *reading) forget() {
	clear(r.in.Headers)
	clear(r.joined)
	headers := r.in.Headers[:0]
	r.in = authz.Input{Headers: headers}
}

// Codec is the server's codec (grpc.ForceServerCodecV2). It takes a Check's bytes as
// they are and sends its response as it was written; all other messages, such as
// those of health and reflection, are those of Protocol Buffers as usual.
func Codec() encoding.CodecV2 { return codec{encoding.GetCodecV2(proto.Name)} }

type codec struct{ usual encoding.CodecV2 }

// Name is the content-subtype.
func (c codec) Name() string { return proto.Name }

// Unmarshal keeps a Check's bytes, which are read later.
func (c codec) Unmarshal(data mem.BufferSlice, into any) error {
	check, ok := into.(*call)
	if !ok {
		return c.usual.Unmarshal(data, into)
	}
	check.request = data.MaterializeToBuffer(buffers)
	return nil
}

var errNoResponse = errors.New("extauthz: the check has no response")

// Marshal hands a Check's response over and ends the call.
func (c codec) Marshal(message any) (mem.BufferSlice, error) {
	check, ok := message.(*call)
	if !ok {
		return c.usual.Marshal(message)
	}
	if check.response == nil {
		return nil, errNoResponse
	}
	response := mem.NewBuffer(check.response, buffers)
	check.response = nil
	check.release()
	return mem.BufferSlice{response}, nil
}
