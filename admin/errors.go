package admin

import (
	"context"
	"errors"
	"strings"

	"postern/store"
)

// Code sorts the errors of the use cases by what the caller can do about them.
type Code uint8

// The codes.
const (
	// Invalid: the request breaks a rule; its Violations say which.
	Invalid Code = iota + 1
	// NotFound: there is no such record.
	NotFound
	// Exists: the record collides with another.
	Exists
	// Precondition: the record's state does not allow it.
	Precondition
	// LimitReached: a configured limit does not allow it.
	LimitReached
	// Unavailable: a dependency could not be asked; try again.
	Unavailable
)

// Violation is one field that breaks a rule.
type Violation struct {
	Field   string // as it is spelled in the API
	Problem string
	Remedy  string
}

// String is the violation in one line.
func (v Violation) String() string { return v.Field + ": " + v.Problem + "; " + v.Remedy }

// Error is a refused use case. Its text is public; its cause is for the log only.
type Error struct {
	Code       Code
	Violations []Violation // of Invalid
	message    string
	cause      error
}

// Error is what to tell the caller.
func (e *Error) Error() string {
	if len(e.Violations) == 0 {
		return e.message
	}
	lines := make([]string, len(e.Violations))
	for i, v := range e.Violations {
		lines[i] = v.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap is the private cause; nil where there is none.
func (e *Error) Unwrap() error { return e.cause }

func refuse(code Code, message string) *Error { return &Error{Code: code, message: message} }

func invalid(field, problem, remedy string) *Error {
	return &Error{Code: Invalid, Violations: []Violation{{field, problem, remedy}}}
}

// meaning says what the store's errors mean to the caller of one use case; an
// empty sentence leaves the error's general meaning.
type meaning struct {
	notFound, conflict, limit, state string
	reference                        *Error
}

// failed translates an error of the store. What it does not know means that
// nothing is known.
func failed(err error, m meaning) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, store.ErrNotFound):
		return refuse(NotFound, or(m.notFound, "there is no such record"))
	case errors.Is(err, store.ErrConflict):
		return refuse(Exists, or(m.conflict, "such a record exists already"))
	case errors.Is(err, store.ErrReference) && m.reference != nil:
		return m.reference
	case errors.Is(err, store.ErrReference):
		return refuse(Precondition, "the request names a record that does not exist; create it first")
	case errors.Is(err, store.ErrLimit):
		return refuse(LimitReached, or(m.limit, "a limit is reached"))
	case errors.Is(err, store.ErrInvalid):
		return &Error{Code: Precondition, message: or(m.state, "the record's state does not allow this"), cause: err}
	}
	return &Error{Code: Unavailable, message: "the store could not be asked; try again", cause: err}
}

// failedList translates an error of a list, where the cursor is the only argument
// that the store can object to.
func failedList(err error) error {
	if errors.Is(err, store.ErrInvalid) {
		return invalid("page_token", "is not one that this list returned", "use the next_page_token of the page before, or none")
	}
	return failed(err, meaning{})
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
