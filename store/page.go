package store

import "fmt"

// MaxPageLimit bounds the records of one page.
const MaxPageLimit = 1000

// Validate reports a Limit outside 1 to MaxPageLimit as ErrInvalid. The cursor
// is the engine's to check.
func (p Page) Validate() error {
	if p.Limit < 1 || p.Limit > MaxPageLimit {
		return fmt.Errorf("%w: page limit is %d: give 1 to %d", ErrInvalid, p.Limit, MaxPageLimit)
	}
	return nil
}
