package settings

import "strings"

// language is a row of sys.syslanguages: SET LANGUAGE takes the name or the alias, and sets the other two with it.
type language struct {
	name, alias, format string
	first               uint8
}

var languages = [...]language{
	{"us_english", "English", "mdy", 7},
	{"Deutsch", "German", "dmy", 1},
	{"Français", "French", "dmy", 1},
	{"日本語", "Japanese", "ymd", 7},
	{"Dansk", "Danish", "dmy", 1},
	{"Español", "Spanish", "dmy", 1},
	{"Italiano", "Italian", "dmy", 1},
	{"Nederlands", "Dutch", "dmy", 1},
	{"Norsk", "Norwegian", "dmy", 1},
	{"Português", "Portuguese", "dmy", 7},
	{"Suomi", "Finnish", "dmy", 1},
	{"Svenska", "Swedish", "ymd", 1},
	{"čeština", "Czech", "dmy", 1},
	{"magyar", "Hungarian", "ymd", 1},
	{"polski", "Polish", "dmy", 1},
	{"română", "Romanian", "dmy", 1},
	{"hrvatski", "Croatian", "ymd", 1},
	{"slovenčina", "Slovak", "dmy", 1},
	{"slovenski", "Slovenian", "dmy", 1},
	{"ελληνικά", "Greek", "dmy", 1},
	{"български", "Bulgarian", "dmy", 1},
	{"русский", "Russian", "dmy", 1},
	{"Türkçe", "Turkish", "dmy", 1},
	{"British", "British English", "dmy", 1},
	{"eesti", "Estonian", "dmy", 1},
	{"latviešu", "Latvian", "ymd", 1},
	{"lietuvių", "Lithuanian", "ymd", 1},
	{"Português (Brasil)", "Brazilian", "dmy", 7},
	{"繁體中文", "Traditional Chinese", "ymd", 7},
	{"한국어", "Korean", "ymd", 7},
	{"简体中文", "Simplified Chinese", "ymd", 7},
	{"Arabic", "Arabic", "dmy", 1},
	{"ไทย", "Thai", "dmy", 7},
}

// SetLanguage does SET LANGUAGE name: the language, its DATEFORMAT and its DATEFIRST. It reports false, and changes
// nothing, for a language that is not known here: then the three have to be asked for.
func (s *Set) SetLanguage(name string) bool {
	for _, l := range languages {
		if strings.EqualFold(l.name, name) || strings.EqualFold(l.alias, name) {
			s.Language, s.DateFormat, s.DateFirst = l.name, l.format, l.first
			return true
		}
	}
	return false
}

// SetDateFormat does SET DATEFORMAT. It reports false for a format that there is not.
func (s *Set) SetDateFormat(name string) bool {
	for _, f := range [...]string{"mdy", "dmy", "ymd", "ydm", "myd", "dym"} {
		if strings.EqualFold(f, name) {
			s.DateFormat = f
			return true
		}
	}
	return false
}
