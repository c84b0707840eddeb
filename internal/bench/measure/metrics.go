package measure

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics is what a server said of itself at one moment.
type Metrics struct {
	families map[string]*dto.MetricFamily
}

// Scrape reads the metrics at the address, host:port.
func Scrape(ctx context.Context, client *http.Client, address string) (Metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		return Metrics{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return Metrics{}, fmt.Errorf("read the metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Metrics{}, fmt.Errorf("read the metrics: %s", response.Status)
	}
	return parseMetrics(response.Body)
}

func parseMetrics(r io.Reader) (Metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return Metrics{}, fmt.Errorf("read the metrics: %w", err)
	}
	return Metrics{families}, nil
}

// Sum adds the series of the name that have all of the labels; of none it is zero.
func (m Metrics) Sum(name string, labels map[string]string) float64 {
	var sum float64
	for _, metric := range m.families[name].GetMetric() {
		have := map[string]string{}
		for _, pair := range metric.GetLabel() {
			if _, asked := labels[pair.GetName()]; asked {
				have[pair.GetName()] = pair.GetValue()
			}
		}
		if maps.Equal(have, labels) {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + metric.GetUntyped().GetValue()
		}
	}
	return sum
}

// Mallocs is how many objects the server has allocated since its start.
func (m Metrics) Mallocs() float64 { return m.Sum("go_memstats_mallocs_total", nil) }
