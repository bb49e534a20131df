package login

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"forebay/internal/resource"
)

// SendCancel asks the server to cancel what the connection with this process ID and secret key is doing. It opens a
// connection of its own, over TLS as o says (Credentials, Database and Params are not used), and returns once the server
// has closed it: the signal has then been sent, though not yet obeyed. Whether there was anything to cancel, no
// one can tell.
func SendCancel(ctx context.Context, o DialOptions, pid uint32, secret []byte) error {
	if len(secret) < minCancelSecret || len(secret) > maxCancelSecret {
		return fmt.Errorf("postgres cancel: %w", &LengthError{What: "secret key", Length: int64(len(secret))})
	}
	err := cancelOnce(ctx, o, o.TLSMode, pid, secret)
	if err != nil && prefers(o.TLSMode) && errors.Is(err, ErrTLS) && ctx.Err() == nil {
		err = cancelOnce(ctx, o, resource.TLSDisable, pid, secret)
	}
	if err != nil {
		return fmt.Errorf("postgres cancel at %s: %w", o.Address, err)
	}
	return nil
}

func cancelOnce(ctx context.Context, o DialOptions, mode resource.TLSMode, pid uint32, secret []byte) error {
	conn, stop, err := open(ctx, o)
	if err != nil {
		return err
	}
	defer stop()
	defer conn.Close()
	c, err := negotiateTLS(conn, o, mode)
	if err != nil {
		return withContext(ctx, err)
	}
	packet := binary.BigEndian.AppendUint32(nil, uint32(12+len(secret)))
	packet = binary.BigEndian.AppendUint32(packet, codeCancel)
	packet = binary.BigEndian.AppendUint32(packet, pid)
	packet = append(packet, secret...)
	if _, err := c.conn.Write(packet); err != nil {
		return withContext(ctx, ioError(err))
	}
	// The server says nothing and closes; how it closes does not matter.
	var none [1]byte
	n, _ := c.conn.Read(none[:])
	if n > 0 {
		return fmt.Errorf("%w: answer to a cancel request", ErrProtocol)
	}
	return ctx.Err()
}
