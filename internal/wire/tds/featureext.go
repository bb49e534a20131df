package tds

import "encoding/binary"

// FeatureID names a feature of LOGIN7's FeatureExt and of FEATUREEXTACK ([MS-TDS] 2.2.6.4, 2.2.7.11).
type FeatureID byte

// The features.
const (
	FeatureSessionRecovery    FeatureID = 0x01
	FeatureFedAuth            FeatureID = 0x02
	FeatureColumnEncryption   FeatureID = 0x04
	FeatureGlobalTransactions FeatureID = 0x05
	FeatureAzureSQLSupport    FeatureID = 0x08
	FeatureDataClassification FeatureID = 0x09
	FeatureUTF8Support        FeatureID = 0x0A
	FeatureAzureSQLDNSCaching FeatureID = 0x0B
	FeatureJSONSupport        FeatureID = 0x0D
	FeatureVectorSupport      FeatureID = 0x0E
	FeatureEnhancedRouting    FeatureID = 0x0F
	FeatureUserAgent          FeatureID = 0x10

	featureTerminator = 0xFF
)

// Features are the features that change the form of what a server sends, as they were agreed on. Versions are 0 where the
// feature was not agreed on. The value is comparable.
type Features struct {
	ColumnEncryption   uint8 // COLUMNENCRYPTION's version, 1 to 3
	DataClassification uint8 // DATACLASSIFICATION's version, 1 or 2
	JSON               uint8 // JSONSUPPORT's version
	Vector             uint8 // VECTORSUPPORT's version
	UTF8               bool  // UTF8SUPPORT: character data may be UTF-8
}

// The newest versions of the features that this package knows the form of.
const (
	maxColumnEncryption   = 3
	maxDataClassification = 2
	maxJSON               = 1
	maxVector             = 1
)

// Feature is one entry of a FeatureExt or a FEATUREEXTACK.
type Feature struct {
	ID   FeatureID
	Data []byte
}

// maxFeatures is the most entries that a list may have.
const maxFeatures = 64

// ParseFeatureExt decodes the entries of a FeatureExt, or of a FEATUREEXTACK behind its token, up to the terminator. It
// returns how many bytes they take, with that: ErrShort where b ends before it.
func ParseFeatureExt(b []byte) (list []Feature, n int, err error) {
	for {
		if n >= len(b) {
			return nil, 0, ErrShort
		}
		if b[n] == featureTerminator {
			return list, n + 1, nil
		}
		if len(b)-n < 5 {
			return nil, 0, ErrShort
		}
		size := binary.LittleEndian.Uint32(b[n+1:])
		if uint64(size) > uint64(len(b)-n-5) {
			return nil, 0, ErrShort
		}
		if len(list) == maxFeatures {
			return nil, 0, &MalformedError{"FeatureExt", "number of entries"}
		}
		list = append(list, Feature{ID: FeatureID(b[n]), Data: b[n+5 : n+5+int(size) : n+5+int(size)]})
		n += 5 + int(size)
	}
}

// AppendFeatureExt appends the entries, and the terminator.
func AppendFeatureExt(b []byte, list []Feature) []byte {
	for _, f := range list {
		b = append(b, byte(f.ID))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Data)))
		b = append(b, f.Data...)
	}
	return append(b, featureTerminator)
}

// FeaturesOf are the features of a list, as a client asks for them or as a server acknowledges them: versions that are newer
// than those known here are cut down, as a server does it.
func FeaturesOf(list []Feature) (f Features) {
	version := func(data []byte, newest uint8) uint8 {
		if len(data) == 0 {
			return 0
		}
		return min(data[0], newest)
	}
	for _, e := range list {
		switch e.ID {
		case FeatureColumnEncryption:
			f.ColumnEncryption = version(e.Data, maxColumnEncryption)
		case FeatureDataClassification:
			f.DataClassification = version(e.Data, maxDataClassification)
		case FeatureJSONSupport:
			f.JSON = version(e.Data, maxJSON)
		case FeatureVectorSupport:
			f.Vector = version(e.Data, maxVector)
		case FeatureUTF8Support:
			// A client's request has no data, a server's acknowledgement says yes or no.
			f.UTF8 = len(e.Data) == 0 || e.Data[0] == 1
		}
	}
	return f
}

// Request is the features as a client asks for them in LOGIN7.
func (f Features) Request() []Feature {
	list := f.versions()
	if f.UTF8 {
		list = append(list, Feature{ID: FeatureUTF8Support})
	}
	return list
}

// Acknowledgement is the features as a server acknowledges them in FEATUREEXTACK.
func (f Features) Acknowledgement() []Feature {
	list := f.versions()
	for i := range list {
		if list[i].ID == FeatureDataClassification {
			list[i].Data = append(list[i].Data, 1) // it is on
		}
	}
	if f.UTF8 {
		list = append(list, Feature{FeatureUTF8Support, []byte{1}})
	}
	return list
}

func (f Features) versions() (list []Feature) {
	for _, v := range []struct {
		id      FeatureID
		version uint8
	}{
		{FeatureColumnEncryption, f.ColumnEncryption},
		{FeatureDataClassification, f.DataClassification},
		{FeatureJSONSupport, f.JSON},
		{FeatureVectorSupport, f.Vector},
	} {
		if v.version > 0 {
			list = append(list, Feature{v.id, []byte{v.version}})
		}
	}
	return list
}

// And are the features that both have, in the older of the two versions.
func (f Features) And(g Features) Features {
	return Features{
		ColumnEncryption: min(f.ColumnEncryption, g.ColumnEncryption), DataClassification: min(f.DataClassification, g.DataClassification),
		JSON: min(f.JSON, g.JSON), Vector: min(f.Vector, g.Vector), UTF8: f.UTF8 && g.UTF8,
	}
}
