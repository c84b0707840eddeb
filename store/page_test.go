package store_test

import (
	"errors"
	"testing"

	"postern/store"
)

func TestAPageHasOneToAThousandRecords(t *testing.T) {
	for limit, valid := range map[int]bool{-1: false, 0: false, 1: true, 1000: true, 1001: false} {
		err := store.Page{Limit: limit}.Validate()
		if valid && err != nil {
			t.Errorf("limit %d: %v, want it accepted", limit, err)
		}
		if !valid && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("limit %d: %v, want ErrInvalid", limit, err)
		}
	}
}
