// Package chart draws bars and lines as SVG that can be read on a light and on a dark
// background. It knows nothing of what the numbers mean.
package chart

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The measures of a picture, in pixels.
const (
	width      = 800
	labelWidth = 340
	barHeight  = 16
	barGap     = 8
	top        = 44
	plotHeight = 260
	margin     = 64
)

// Bar is one bar with how far its measurements lie apart.
type Bar struct {
	Label           string
	Value, Min, Max float64
}

// Series is one line.
type Series struct {
	Name   string
	Points []Point
}

// Point is one place on a line; X is above zero, for its axis is logarithmic.
type Point struct{ X, Y float64 }

// colors are told apart on both backgrounds, and by those who see no red or green.
func colors() []string { return []string{"#2f7ed8", "#e0812b", "#7b5ea7", "#1b9e77"} }

func begin(height int, title string) *strings.Builder {
	text := &strings.Builder{}
	fmt.Fprintf(text, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(title))
	text.WriteString("<style>text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-size:15px;font-weight:600}.g{stroke:#8b949e;stroke-opacity:.35}" +
		"@media(prefers-color-scheme:dark){text{fill:#adbac7}}</style>\n")
	write(text, 0, 20, "start", "t", title)
	return text
}

func write(text *strings.Builder, x, y float64, anchor, class, content string) {
	fmt.Fprintf(text, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(content))
}

func line(text *strings.Builder, x1, y1, x2, y2 float64, attributes string) {
	fmt.Fprintf(text, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, attributes)
}

// Bars draws horizontal bars from zero, each with its number; a thin line shows the
// smallest and the largest measurement.
func Bars(title, unit string, bars []Bar) []byte {
	height := top + len(bars)*(barHeight+barGap) + 28
	text := begin(height, title)
	largest := 0.0
	for _, b := range bars {
		largest = max(largest, b.Value, b.Max)
	}
	step := niceStep(largest)
	end := step * max(1, math.Ceil(largest/step))
	x := func(v float64) float64 { return labelWidth + v/end*(width-labelWidth-margin) }
	bottom := float64(height - 24)
	for v := 0.0; v <= end+step/2; v += step {
		line(text, x(v), top-8, x(v), bottom, `class="g"`)
		write(text, x(v), bottom+16, "middle", "", number(v))
	}
	write(text, width, bottom+16, "end", "", unit)
	for i, b := range bars {
		y := float64(top + i*(barHeight+barGap))
		write(text, labelWidth-8, y+barHeight-3, "end", "", b.Label)
		fmt.Fprintf(text, `<rect x="%d" y="%.1f" width="%.1f" height="%d" rx="2" fill="%s"/>`+"\n", labelWidth, y, x(b.Value)-labelWidth, barHeight, colors()[0])
		line(text, x(b.Min), y+barHeight/2, x(b.Max), y+barHeight/2, `stroke="#e0812b" stroke-width="2"`)
		write(text, x(max(b.Value, b.Max))+6, y+barHeight-3, "start", "", number(b.Value))
	}
	text.WriteString("</svg>\n")
	return []byte(text.String())
}

// Lines draws series over a logarithmic axis; the other begins at zero.
func Lines(title, xName, yName string, series []Series) []byte {
	height := top + plotHeight + 72
	text := begin(height, title)
	low, high, largest := math.Inf(1), math.Inf(-1), 0.0
	for _, s := range series {
		for _, p := range s.Points {
			low, high, largest = min(low, p.X), max(high, p.X), max(largest, p.Y)
		}
	}
	step := niceStep(largest)
	end := step * max(1, math.Ceil(largest/step))
	x := func(v float64) float64 {
		return margin + math.Log(v/low)/max(math.Log(high/low), 1e-9)*(width-2*margin)
	}
	y := func(v float64) float64 { return top + plotHeight - v/end*plotHeight }
	for v := 0.0; v <= end+step/2; v += step {
		line(text, margin, y(v), width-margin, y(v), `class="g"`)
		write(text, margin-8, y(v)+4, "end", "", number(v))
	}
	write(text, 0, top-8, "start", "", yName)
	write(text, width-margin, top+plotHeight+38, "end", "", xName)
	marked := map[float64]bool{}
	for i, s := range series {
		color := colors()[i%len(colors())]
		var path []string
		for _, p := range s.Points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(p.X), y(p.Y)))
			fmt.Fprintf(text, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n", x(p.X), y(p.Y), color)
			if !marked[p.X] {
				marked[p.X] = true
				write(text, x(p.X), top+plotHeight+20, "middle", "", number(p.X))
			}
		}
		fmt.Fprintf(text, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(path, " "), color)
		at := float64(margin + i*200)
		fmt.Fprintf(text, `<rect x="%.1f" y="%d" width="12" height="12" fill="%s"/>`+"\n", at, top+plotHeight+46, color)
		write(text, at+18, top+plotHeight+57, "start", "", s.Name)
	}
	text.WriteString("</svg>\n")
	return []byte(text.String())
}

// niceStep divides up to six times into the value: 1, 2 or 5 times a power of ten.
func niceStep(largest float64) float64 {
	if !(largest > 0) {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(largest)))
	for _, factor := range []float64{0.2, 0.5, 1, 2} {
		if largest/(power*factor) <= 6 {
			return power * factor
		}
	}
	return power * 5
}

// number is short: 1,000,000 is 1M.
func number(v float64) string {
	switch {
	case v >= 1e6 && math.Mod(v, 1e5) == 0:
		return trim(v/1e6) + "M"
	case v >= 1e3 && math.Mod(v, 1e2) == 0:
		return trim(v/1e3) + "k"
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return trim(v)
}

func trim(v float64) string {
	text := fmt.Sprintf("%.2f", v)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}
