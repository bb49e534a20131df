package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"runtime/debug"
	"time"
)

// Options say how a Server works.
type Options struct {
	Log    *slog.Logger
	Region string // the account's
	Auth   Authenticator

	// Observe is told about each request: its service and action ("other" where they are not served), the code of its
	// error (empty: success) and how long it took. It is called from several goroutines.
	Observe func(service, action, code string, d time.Duration)

	MaxConcurrent int              // requests being worked on; more are refused as Throttling; 0: 256
	Timeout       time.Duration    // of an operation, by its context; 0: 30 s
	Now           func() time.Time // nil: time.Now
}

// Server answers the requests of all services. It is safe for concurrent use.
type Server struct {
	// Static after New.
	o        Options
	services map[string]*Service

	slots  chan struct{} // one is in it for each request being worked on
	bodies bodies
}

// New makes a Server. The services are not changed afterwards. The error is a mistake in an operation's types.
func New(o Options, services ...*Service) (*Server, error) {
	if o.MaxConcurrent == 0 {
		o.MaxConcurrent = 256
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(string, string, string, time.Duration) {}
	}
	s := &Server{o: o, services: map[string]*Service{}, slots: make(chan struct{}, o.MaxConcurrent)}
	for _, service := range services {
		if s.services[service.Name] != nil {
			return nil, fmt.Errorf("awsapi: two services are named %q", service.Name)
		}
		s.services[service.Name] = service
		for name, op := range service.Operations {
			for _, t := range []reflect.Type{op.in, op.out} {
				p, err := planOf(t)
				if err == nil && p.kind != kindStruct {
					err = fmt.Errorf("awsapi: %v is no structure", t)
				}
				if err != nil {
					return nil, fmt.Errorf("%w (%s:%s)", err, service.Name, name)
				}
			}
		}
	}
	return s, nil
}

// request is one request on its way.
type request struct {
	*http.Request
	form    form
	service *Service // nil: not known yet, or not served
	action  string   // empty: not known yet, or not served
	asked   string   // the action as it was sent
	params  params   // Query
	body    []byte
	call    Call

	oversized bool // its body has not been read to its end
}

// answer is what a request gets.
type answer struct {
	body   []byte
	stream stream // nil: body is all there is
	err    *Error // nil: success; worded as the protocol's own
	why    error  // what the log is told about Forebay's own failures
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	start := time.Now()
	r := &request{Request: hr, form: formOf(hr), service: s.services[claimed(hr)]}
	r.call = Call{RequestID: NewUUID(), Time: s.o.Now(), Source: source(hr), Secure: hr.TLS != nil}
	a := s.answer(w, r)
	if r.oversized {
		defer linger(w, hr)
	}
	broken := s.write(w, r, a)
	if broken != nil && hr.Context().Err() == nil {
		a.why = broken
	}
	s.record(r, a, time.Since(start))
	if broken != nil {
		panic(http.ErrAbortHandler) // how net/http is told to break the connection
	}
}

// linger sends an answer off and reads on for a while: a client that is still sending its body would be cut off before it
// has seen the answer.
func linger(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	if c.Flush() != nil || c.SetReadDeadline(time.Now().Add(lingerFor)) != nil {
		return // of a kind that cannot
	}
	_, _ = io.CopyN(io.Discard, r.Body, lingerMost) // it is thrown away
}

// answer works on a request. It does not panic.
func (s *Server) answer(w http.ResponseWriter, r *request) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = r.refuse(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	body, owner, err := s.bodies.read(w, r.Request)
	defer s.bodies.release(owner)
	if err != nil {
		w.Header().Set("Connection", "close") // the rest of the body would be read as the next request
		// Else the server would read on before it answers. HTTP/2 does neither, and knows no such thing.
		r.oversized = errors.Is(err, errTooLarge) && http.NewResponseController(w).EnableFullDuplex() == nil
		return r.refuse(err)
	}
	r.body = body
	// A slot is taken when the body is there: slow clients hold none.
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return r.refuse(Common("Throttling", "Rate exceeded"))
	}
	op, err := s.route(r)
	if err != nil {
		return r.refuse(err)
	}
	out, err := s.perform(r, op)
	if err != nil {
		return r.refuse(err)
	}
	if write, ok := out.(stream); ok {
		a.stream = write
		return a
	}
	if r.service.Protocol == JSON {
		a.body, err = encodeJSON(out)
	} else {
		a.body, err = encodeXML(r.service, r.action, r.call.RequestID, op.result, out)
	}
	if err != nil {
		return r.refuse(err)
	}
	return a
}

// perform decodes the request and calls its operation.
func (s *Server) perform(r *request, op Operation) (any, error) {
	in := op.newInput()
	var err error
	if r.service.Protocol == JSON {
		err = decodeJSON(r.service, r.action, r.body, in)
	} else {
		err = decodeQuery(r.service, r.action, r.params, in)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Timeout)
	defer cancel()
	return op.call(ctx, &r.call, in)
}

// refuse makes the answer of an error. What is not an *Error is Forebay's own failure, which only the log learns about.
func (r *request) refuse(err error) answer {
	protocol := Query
	if r.form == formJSON {
		protocol = JSON
	}
	var e *Error
	var store interface{ Unavailable() bool }
	switch {
	case errors.As(err, &e):
	case errors.As(err, &store) && store.Unavailable():
		e = Common("ServiceUnavailable", "The request has failed due to a temporary failure of what keeps Forebay's state. It may have taken effect nevertheless.")
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		e = Common("ServiceUnavailable", "The request could not be completed in time. It may have taken effect nevertheless.")
	default:
		e = Common("InternalFailure", "The request processing has failed because of an unknown error, exception or failure.")
	}
	a := answer{err: e.in(protocol)}
	if (a.err.Fault || a.err.Status >= http.StatusInternalServerError) && r.Context().Err() == nil {
		a.why = err // else the client has left, which is no failure of Forebay's
	}
	switch {
	case protocol == JSON:
		a.body = encodeJSONError(a.err)
	case claimed(r.Request) == "ec2":
		a.body = encodeEC2Error(r.call.RequestID, a.err)
	case r.service != nil && r.service.Protocol == Query:
		a.body = encodeXMLError(r.service.Namespace, r.call.RequestID, a.err)
	default:
		a.body = encodeXMLError(faultNamespace, r.call.RequestID, a.err)
	}
	return a
}

// write sends the answer. An error is of a stream that has ended before its time.
func (s *Server) write(w http.ResponseWriter, r *request, a answer) error {
	h := w.Header()
	h.Set("X-Amzn-Requestid", r.call.RequestID)
	h.Set("Content-Type", "text/xml")
	h.Set("Cache-Control", "no-store") // secrets are among the answers
	h.Set("X-Content-Type-Options", "nosniff")
	status := http.StatusOK
	if a.err != nil {
		status = a.err.Status
	}
	if r.form == formJSON {
		h.Set("Content-Type", "application/x-amz-json-1.1")
		if a.err != nil {
			h.Set("X-Amzn-Errortype", a.err.Code)
		}
	}
	if a.stream != nil {
		h.Set("Content-Type", "application/octet-stream")
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, POST")
	}
	w.WriteHeader(status)
	if a.stream != nil {
		return a.stream(w)
	}
	_, _ = w.Write(a.body) // a client that has gone needs no answer
	return nil
}

// record writes the line of the access log, and counts. It knows no parameter but the action's name, and no body.
func (s *Server) record(r *request, a answer, d time.Duration) {
	service, action, code, status, caller := "other", "other", "", http.StatusOK, "-"
	if r.service != nil {
		service = r.service.Name
	}
	if r.action != "" {
		action = r.action
	}
	if a.err != nil {
		code, status = a.err.Code, a.err.Status
	}
	if r.call.Caller != nil {
		caller = r.call.Caller.ARN()
	}
	attrs := []slog.Attr{
		slog.String("service", service), slog.String("action", action), slog.String("caller", caller), slog.Int("status", status),
		slog.String("code", code), slog.Duration("duration", d), slog.String("request", r.call.RequestID), slog.String("source", r.call.Source.String()),
	}
	level := slog.LevelInfo
	if r.action == "" && r.asked != "" {
		attrs = append(attrs, slog.String("asked", clip(r.asked)))
	}
	if a.why != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("err", a.why.Error()))
	}
	s.o.Log.LogAttrs(r.Context(), level, "management API", attrs...)
	s.o.Observe(service, action, code, d)
}

// source is the address that a request came from.
func source(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}
