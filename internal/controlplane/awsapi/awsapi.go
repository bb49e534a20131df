// Package awsapi speaks the wire protocols of AWS for the APIs below controlplane: AWS Query (form in, XML out: RDS, IAM,
// STS) and JSON 1.1 (Secrets Manager). One Server takes the requests of all services; a request says by its signature,
// and by its own form, which one it means. The server checks the signature, finds out who is calling, decodes, calls the
// operation, and encodes its answer or its *Error. An operation is a function from one struct to another.
//
// Fields of these structs are named as the members of the service's model. Pointers, slices and maps are optional: nil is
// absent. A field's tag names what differs:
//
//	Auth     []UserAuthConfig                      // Query: Auth.member.N in, <Auth><member> out
//	Tags     []Tag             `aws:"list=Tag"`    // Tags.Tag.N in, <Tags><Tag> out
//	Filters  []Filter          `aws:"list=Filter"` // and inside: Values []string `aws:"list=Value"`
//	TagList  []Tag             `aws:"list=Tag"`
//	Policies []string          `aws:"required"`    // absent: the service's error for a missing member
//	Token    string            `aws:"name=nextToken"`
//	Domain   string            `aws:"omitempty"`   // left out of an answer where it is empty; else a string is sent as ""
//	internal int               `aws:"-"`           // no member; so are fields that are not exported
//
// The fields of an embedded structure count as its own. A type is one of string, bool, int, int32, int64, float64,
// time.Time, []byte, a structure, a slice, a map with string keys (in Query: in answers alone), or a pointer to one. A
// nil slice is left out of an answer and an empty one is an empty element. In a request `Auth=` is an empty slice that
// is not nil (contract 2.1). time.Time is ISO 8601 in XML and epoch seconds in JSON, both to the millisecond; a zero one is
// absent. []byte is base64.
package awsapi

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"time"
)

// Error is a refusal in AWS's own terms.
type Error struct {
	Code    string // such as DBProxyNotFoundFault
	Message string
	Status  int  // HTTP
	Fault   bool // Forebay's own: Receiver rather than Sender
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes a refusal of the caller's request.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

// Caller is who has signed a request.
type Caller interface {
	ARN() string       // arn:aws:iam::…:user/…, arn:aws:sts::…:assumed-role/…/…, or the account's root
	AccountID() string // 12 digits
	UserID() string    // AIDA…, AROA…:session, or the account's number for root
	// Authorize returns nil if the caller may have the access, or an *Error that says why not.
	Authorize(c *Call, a Access) error
}

// Access is what a caller wants to do.
type Access struct {
	Action   string // such as rds:CreateDBProxy
	Resource string // ARN
	// Keys are condition keys beyond those of the Call itself (time, source address, TLS).
	Keys map[string][]string
	// Policy is the resource's own policy; empty: it has none.
	Policy string
}

// Call is what an operation knows about its request, beside its members.
type Call struct {
	Caller    Caller
	RequestID string
	Region    string // of the signature's scope
	Time      time.Time
	Source    netip.Addr
	Secure    bool // over TLS
}

// Authorize returns nil if the caller may do action to resource, or an *Error that says why not.
func (c *Call) Authorize(action, resource string) error {
	return c.AuthorizeAccess(Access{Action: action, Resource: resource})
}

// AuthorizeAccess is Authorize with all that can be said of an access.
func (c *Call) AuthorizeAccess(a Access) error {
	return c.Caller.Authorize(c, a)
}

// Protocol is how a service's requests and answers look.
type Protocol int

const (
	Query Protocol = iota // AWS Query: form in, XML out
	JSON                  // JSON 1.1, the operation in X-Amz-Target
)

// Service is one API.
type Service struct {
	Name       string // in the signature's scope: rds, secretsmanager, iam, sts
	Protocol   Protocol
	Version    string // Query: the one Version that is served; the XML namespace is made by Namespace
	Namespace  string // Query: of the answer's root element
	Target     string // JSON: the part of X-Amz-Target before the point
	Operations map[string]Operation
	// Anonymous operations need no signature (sts:AssumeRoleWithWebIdentity). Their Caller is nil.
	Anonymous map[string]bool

	// Missing makes the error for required members that are absent, at least one, each like Auth.member.1.SecretArn. Nil:
	// RDS's MissingParameter for rds, and Constraint for others.
	Missing func(members []string) *Error
	// Invalid makes the error for a member whose text is not of its type, in AWS Query; the problem is like "must be true
	// or false". Nil: RDS's InvalidParameterValue for rds, and Constraint for others.
	Invalid func(member, problem string) *Error
}

// Operation is one operation of a Service, made by Op.
type Operation struct {
	in, out  reflect.Type
	newInput func() any
	call     func(ctx context.Context, c *Call, in any) (any, error)
	result   bool // Query: the answer has a <NameResult> element
}

// stream is an answer that is written as it comes.
type stream func(w io.Writer) error

// Stream makes an operation whose answer is not a structure but bytes of any number: what the function that fn returns
// writes. When that fails, the connection is broken, so that no client takes a part for the whole. The Server's limits of
// time and number do not hold for the writing.
func Stream[In any](fn func(ctx context.Context, c *Call, in *In) (func(w io.Writer) error, error)) Operation {
	o := Op(func(context.Context, *Call, *In) (*struct{}, error) { return nil, nil })
	o.call = func(ctx context.Context, c *Call, in any) (any, error) {
		write, err := fn(ctx, c, in.(*In))
		if err != nil {
			return nil, err
		}
		return stream(write), nil
	}
	return o
}

// Op makes an operation of a function. Out may be struct{}: then a Query answer has a <NameResult/> without content.
func Op[In, Out any](fn func(ctx context.Context, c *Call, in *In) (*Out, error)) Operation {
	return Operation{
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		newInput: func() any { return new(In) },
		call: func(ctx context.Context, c *Call, in any) (any, error) {
			out, err := fn(ctx, c, in.(*In))
			if err != nil || out == nil {
				return nil, err
			}
			return out, nil
		},
		result: true,
	}
}

// Silent makes an operation whose Query answer has no Result element at all (AddTagsToResource, contract 2.1).
func Silent[In any](fn func(ctx context.Context, c *Call, in *In) error) Operation {
	o := Op(func(ctx context.Context, c *Call, in *In) (*struct{}, error) { return nil, fn(ctx, c, in) })
	o.result = false
	return o
}
