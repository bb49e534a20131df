package tds

// TypeID is the first byte of a TYPE_INFO: a data type ([MS-TDS] 2.2.5.4).
type TypeID byte

// The data types.
const (
	TypeNull        TypeID = 0x1F
	TypeImage       TypeID = 0x22
	TypeText        TypeID = 0x23
	TypeGUID        TypeID = 0x24
	TypeVarBinary0  TypeID = 0x25 // of before TDS 7
	TypeIntN        TypeID = 0x26
	TypeVarChar0    TypeID = 0x27 // of before TDS 7
	TypeDate        TypeID = 0x28
	TypeTime        TypeID = 0x29
	TypeDateTime2   TypeID = 0x2A
	TypeDateTimeOff TypeID = 0x2B
	TypeBinary0     TypeID = 0x2D // of before TDS 7
	TypeChar0       TypeID = 0x2F // of before TDS 7
	TypeInt1        TypeID = 0x30
	TypeBit         TypeID = 0x32
	TypeInt2        TypeID = 0x34
	TypeDecimal0    TypeID = 0x37 // of before TDS 7
	TypeInt4        TypeID = 0x38
	TypeDateTime4   TypeID = 0x3A
	TypeFloat4      TypeID = 0x3B
	TypeMoney       TypeID = 0x3C
	TypeDateTime    TypeID = 0x3D
	TypeFloat8      TypeID = 0x3E
	TypeNumeric0    TypeID = 0x3F // of before TDS 7
	TypeVariant     TypeID = 0x62
	TypeNText       TypeID = 0x63
	TypeBitN        TypeID = 0x68
	TypeDecimalN    TypeID = 0x6A
	TypeNumericN    TypeID = 0x6C
	TypeFloatN      TypeID = 0x6D
	TypeMoneyN      TypeID = 0x6E
	TypeDateTimeN   TypeID = 0x6F
	TypeMoney4      TypeID = 0x7A
	TypeInt8        TypeID = 0x7F
	TypeVarBinary   TypeID = 0xA5
	TypeVarChar     TypeID = 0xA7
	TypeBinary      TypeID = 0xAD
	TypeChar        TypeID = 0xAF
	TypeNVarChar    TypeID = 0xE7
	TypeNChar       TypeID = 0xEF
	TypeUDT         TypeID = 0xF0
	TypeXML         TypeID = 0xF1
	TypeTVP         TypeID = 0xF3 // parameters of requests only
	TypeJSON        TypeID = 0xF4
	TypeVector      TypeID = 0xF5
)

// valueForm says how a value of a column gives its length.
type valueForm uint8

const (
	formNone  valueForm = iota // no such type
	formFixed                  // by the type
	formLen1                   // one byte, 0 for NULL
	formLen2                   // two bytes, 65535 for NULL
	formLen4                   // four bytes, 0 for NULL
	formText                   // text pointer and time stamp, then four bytes
	formPLP                    // in chunks
	formTVP                    // rows of its own
)

// infoForm says what comes behind the type's byte in a TYPE_INFO.
type infoForm uint8

const (
	infoNone    infoForm = iota // nothing
	infoLen1                    // a maximum length, or a scale
	infoDecimal                 // length, precision, scale
	infoLen2                    // maximum length; 65535 means chunks
	infoLen2Col                 // the same, and a collation
	infoLen4                    // maximum length
	infoText                    // maximum length, collation, the table's name
	infoImage                   // maximum length, the table's name
	infoXML                     // a schema
	infoUDT                     // names
	infoVector                  // maximum length and the elements' type
	infoTVP
)

// typeForm is how a type is written.
type typeForm struct {
	info  infoForm
	value valueForm
	size  uint8 // formFixed: in bytes
}

// typeForms are those of all types, by TypeID.
var typeForms = [256]typeForm{
	TypeNull:        {infoNone, formFixed, 0},
	TypeInt1:        {infoNone, formFixed, 1},
	TypeBit:         {infoNone, formFixed, 1},
	TypeInt2:        {infoNone, formFixed, 2},
	TypeInt4:        {infoNone, formFixed, 4},
	TypeDateTime4:   {infoNone, formFixed, 4},
	TypeFloat4:      {infoNone, formFixed, 4},
	TypeMoney4:      {infoNone, formFixed, 4},
	TypeMoney:       {infoNone, formFixed, 8},
	TypeDateTime:    {infoNone, formFixed, 8},
	TypeFloat8:      {infoNone, formFixed, 8},
	TypeInt8:        {infoNone, formFixed, 8},
	TypeGUID:        {infoLen1, formLen1, 0},
	TypeIntN:        {infoLen1, formLen1, 0},
	TypeBitN:        {infoLen1, formLen1, 0},
	TypeFloatN:      {infoLen1, formLen1, 0},
	TypeMoneyN:      {infoLen1, formLen1, 0},
	TypeDateTimeN:   {infoLen1, formLen1, 0},
	TypeTime:        {infoLen1, formLen1, 0},
	TypeDateTime2:   {infoLen1, formLen1, 0},
	TypeDateTimeOff: {infoLen1, formLen1, 0},
	TypeChar0:       {infoLen1, formLen1, 0},
	TypeVarChar0:    {infoLen1, formLen1, 0},
	TypeBinary0:     {infoLen1, formLen1, 0},
	TypeVarBinary0:  {infoLen1, formLen1, 0},
	TypeDate:        {infoNone, formLen1, 0},
	TypeDecimal0:    {infoDecimal, formLen1, 0},
	TypeNumeric0:    {infoDecimal, formLen1, 0},
	TypeDecimalN:    {infoDecimal, formLen1, 0},
	TypeNumericN:    {infoDecimal, formLen1, 0},
	TypeVarBinary:   {infoLen2, formLen2, 0},
	TypeBinary:      {infoLen2, formLen2, 0},
	TypeVarChar:     {infoLen2Col, formLen2, 0},
	TypeChar:        {infoLen2Col, formLen2, 0},
	TypeNVarChar:    {infoLen2Col, formLen2, 0},
	TypeNChar:       {infoLen2Col, formLen2, 0},
	TypeText:        {infoText, formText, 0},
	TypeNText:       {infoText, formText, 0},
	TypeImage:       {infoImage, formText, 0},
	TypeVariant:     {infoLen4, formLen4, 0},
	TypeXML:         {infoXML, formPLP, 0},
	TypeUDT:         {infoUDT, formPLP, 0},
	TypeJSON:        {infoNone, formPLP, 0},
	TypeVector:      {infoVector, formLen2, 0},
	TypeTVP:         {infoTVP, formTVP, 0},
}

const (
	collationSize = 5
	plpNull       = ^uint64(0)
	lenNull       = 0xFFFF // of formLen2, and the maximum length that means chunks
)
