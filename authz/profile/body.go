package profile

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"postern/authz/reason"
)

// filling is what the placeholders of a text stand for.
type filling struct {
	reason  reason.Reason
	status  int
	message string
}

// placeholders are all there are.
var placeholders = []string{"{{.Code}}", "{{.Reason}}", "{{.Status}}", "{{.Message}}"}

const statusPlaceholder = "{{.Status}}"

func (f filling) text(template string) string {
	if !strings.Contains(template, "{{") {
		return template
	}
	return strings.NewReplacer(
		"{{.Code}}", strings.ToUpper(f.reason.String()),
		"{{.Reason}}", f.reason.String(),
		statusPlaceholder, strconv.Itoa(f.status),
		"{{.Message}}", f.message,
	).Replace(template)
}

// json renders a checked body: compact, the keys as written, nothing escaped for
// HTML.
func (f filling) json(body *tree) string {
	var b bytes.Buffer
	f.write(&b, body)
	return b.String()
}

func (f filling) write(b *bytes.Buffer, t *tree) {
	switch t.kind {
	case mapTree:
		b.WriteByte('{')
		for i, key := range t.keys {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, key.name)
			b.WriteByte(':')
			f.write(b, t.items[i])
		}
		b.WriteByte('}')
	case listTree:
		b.WriteByte('[')
		for i, item := range t.items {
			if i > 0 {
				b.WriteByte(',')
			}
			f.write(b, item)
		}
		b.WriteByte(']')
	default:
		f.writeScalar(b, t)
	}
}

func (f filling) writeScalar(b *bytes.Buffer, t *tree) {
	switch {
	case t.value == statusPlaceholder:
		b.WriteString(strconv.Itoa(f.status))
	case t.isNull():
		b.WriteString("null")
	case t.tag == "!!bool":
		b.WriteString(strings.ToLower(t.value))
	case t.tag == "!!int" || t.tag == "!!float":
		number, _ := jsonNumber(t)
		b.WriteString(number)
	default:
		writeString(b, f.text(t.value))
	}
}

func writeString(b *bytes.Buffer, text string) {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	// A string always encodes, and a buffer always takes it.
	_ = encoder.Encode(text)
	b.Truncate(b.Len() - 1) // the encoder's line end
}

// jsonNumber spells a YAML number as JSON does.
func jsonNumber(t *tree) (string, bool) {
	if t.tag == "!!int" {
		n, err := strconv.ParseInt(t.value, 0, 64)
		return strconv.FormatInt(n, 10), err == nil
	}
	x, err := strconv.ParseFloat(t.value, 64)
	if err != nil || math.IsInf(x, 0) || math.IsNaN(x) {
		return "", false
	}
	text, err := json.Marshal(x)
	return string(text), err == nil
}

// checkBody reports what a body cannot hold.
func checkBody(t *tree, path string, problems *Problems) {
	for i, key := range t.keys {
		checkBody(t.items[i], join(path, key.name), problems)
	}
	if t.kind == listTree {
		for i, item := range t.items {
			checkBody(item, path+"["+strconv.Itoa(i)+"]", problems)
		}
	}
	if t.kind != scalarTree {
		return
	}
	switch t.tag {
	case "!!str", "!!timestamp":
		if problem := checkTemplate(t.value); problem != "" {
			problems.add(t.at, path, "%s", problem)
		}
	case "!!int", "!!float":
		if _, ok := jsonNumber(t); !ok {
			problems.add(t.at, path, "is the number %s, which JSON does not have; quote it", t.value)
		}
	case "!!null", "!!bool":
	default:
		problems.add(t.at, path, "has the type %s, which JSON does not have; quote it", t.tag)
	}
}

// checkTemplate says what is wrong with the placeholders of a text; empty: nothing.
func checkTemplate(text string) string {
	for _, placeholder := range placeholders {
		text = strings.ReplaceAll(text, placeholder, "")
	}
	if strings.Contains(text, "{{") || strings.Contains(text, "}}") {
		return "has an unknown placeholder; there are " + strings.Join(placeholders, ", ")
	}
	return ""
}
