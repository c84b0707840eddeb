package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func wellFormed(t *testing.T, picture []byte) string {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(string(picture)))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return string(picture)
		} else if err != nil {
			t.Fatal(err, string(picture))
		}
	}
}

func TestPicturesAreWellFormedAndHoldNoNonsense(t *testing.T) {
	for _, text := range []string{
		wellFormed(t, Bars("a < b & c", "times", []Bar{{"one <1>", 1.25, 1, 2}, {"none", 0, 0, 0}})),
		wellFormed(t, Bars("nothing", "", nil)),
		wellFormed(t, Lines("more", "keys", "µs", []Series{{"p99", []Point{{1, 2}, {1000, 3}}}, {"one", []Point{{10, 0}}}})),
		wellFormed(t, Lines("one", "keys", "µs", []Series{{"p99", []Point{{1, 0}}}})),
	} {
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Error(text)
		}
	}
}

func TestNumbersAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 1.5: "1.5", 1000: "1k", 1_000_000: "1M", 250: "250", 123.4: "123", 2.004: "2"} {
		if got := number(v); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	for largest, want := range map[float64]float64{1: 0.2, 3: 0.5, 6: 1, 9: 2, 65: 20, 0: 1} {
		if got := niceStep(largest); got != want {
			t.Errorf("the step up to %v is %v, want %v", largest, got, want)
		}
	}
}
