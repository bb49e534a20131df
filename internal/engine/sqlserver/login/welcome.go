package login

import (
	"strconv"

	"forebay/internal/wire/tds"
)

// Numbers of SQL Server's information that an answer to LOGIN7 has.
const (
	infoDatabase = 5701
	infoLanguage = 5703
)

// Welcome makes the answer to the client's LOGIN7, in packets with that SPID: that of a server connection, with what the
// client has agreed on with us.
func (c *Client) Welcome(srv *Server, spid uint16) []byte {
	v := c.Version
	if srv.Version != 0 && !srv.Version.AtLeast(v) && !srv.Version.AtLeast(tds.V74) { // TDS 8 differs from 7.4 by its TLS alone
		v = srv.Version
	}
	info := func(b []byte, number int32, state uint8, text string) []byte {
		m := tds.Message{Info: true, Number: number, State: state, Text: text, Server: srv.ServerName, Line: 1}
		return m.Append(b, v)
	}
	b := tds.TextChange(tds.EnvDatabase, srv.Database, "master").Append(nil)
	b = info(b, infoDatabase, 2, "Changed database context to '"+srv.Database+"'.")
	b = tds.EnvChange{Type: tds.EnvCollation, New: srv.Collation[:]}.Append(b)
	b = tds.TextChange(tds.EnvLanguage, srv.Language, "").Append(b)
	b = info(b, infoLanguage, 1, "Changed language setting to "+srv.Language+".")
	b = tds.LoginAck{Interface: 1, Version: v, ProgName: srv.ProgName, ProgVersion: srv.ProgVersion}.Append(b)
	b = tds.TextChange(tds.EnvPacketSize, strconv.Itoa(c.PacketSize), strconv.Itoa(tds.DefaultPacketSize)).Append(b)
	if list := c.acknowledged(srv); len(list) > 0 {
		b = tds.AppendFeatureExtAck(b, list)
	}
	b = tds.AppendDone(b, v, false)
	// The size that was agreed on holds from the next message on; a client that wants less has no room for more now.
	return tds.AppendMessage(nil, tds.PacketReply, 0, min(c.PacketSize, tds.DefaultPacketSize), spid, b)
}

// acknowledged are the features that the client hears of.
func (c *Client) acknowledged(srv *Server) (list []tds.Feature) {
	if !c.asked {
		return nil
	}
	if c.fedAuth {
		list = append(list, tds.Feature{ID: tds.FeatureFedAuth, Data: c.fedAuthNonce})
	}
	return append(list, c.Features.And(srv.Features).Acknowledgement()...)
}
