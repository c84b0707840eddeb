package store

import "fmt"

// SchemaStatus compares a database with the schema that this build needs.
type SchemaStatus struct {
	Current int64    // the database's version; 0: none, or no database yet
	Needed  int64    // the version this build needs
	Pending []string // the migrations to apply, in order
}

// RefuseNewer is the error of a database that a newer build has migrated.
func (s SchemaStatus) RefuseNewer() error {
	if s.Current <= s.Needed {
		return nil
	}
	return fmt.Errorf("the schema is at version %d and this build knows %d: run a newer postern", s.Current, s.Needed)
}

// Refuse is the error of a database whose schema is not exactly this build's.
func (s SchemaStatus) Refuse() error {
	if s.Current < s.Needed {
		return fmt.Errorf("the schema is at version %d and this build needs %d: run `postern migrate up`", s.Current, s.Needed)
	}
	return s.RefuseNewer()
}
