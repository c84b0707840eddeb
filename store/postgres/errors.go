package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"postern/store"
)

// failed says what was being done when err happened, in terms of package
// store; nil stays nil. It never repeats the id of a key or a token: somebody
// may have given the credential itself by mistake, and errors are logged.
func failed(ctx context.Context, err error, doing string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(doing, args...), translate(ctx, err))
}

// translate turns the driver's errors into the sentinels. The driver's text is
// dropped with them: it adds nothing that a caller may act on.
func translate(ctx context.Context, err error) error {
	if errors.Is(err, pgx.ErrNoRows) || isNoText(err) {
		// A question that was cut short has not been answered.
		if cause := ctx.Err(); cause != nil {
			return cause
		}
		return store.ErrNotFound
	}
	switch sqlState(err) {
	case "23505": // unique_violation
		return store.ErrConflict
	case "23503": // foreign_key_violation
		return store.ErrReference
	case "22008": // datetime_field_overflow
		return fmt.Errorf("%w: a time is too far away: give one before the year 294276", store.ErrInvalid)
	}
	return discreet(err)
}

// sqlState is the server's code of an error, empty for any other.
func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

// isNoText reports that a value was not UTF-8 or held a NUL character. Records
// are checked before, so it was what somebody looked for, and nothing has such a name.
func isNoText(err error) bool { return sqlState(err) == "22021" } // character_not_in_repertoire

// repeatable reports that the server gave up a transaction for the sake of another.
func repeatable(err error) bool {
	state := sqlState(err)
	return state == "40001" || state == "40P01" // serialization_failure, deadlock_detected
}

// discreet keeps a driver's error's text and drops what it carries: the whole
// configuration of the connection, password and all. Others stay as they are.
func discreet(err error) error {
	var refused *pgconn.PgError
	var unreachable *pgconn.ConnectError
	var unreadable *pgconn.ParseConfigError
	if !errors.As(err, &refused) && !errors.As(err, &unreachable) && !errors.As(err, &unreadable) {
		return err
	}
	text := strings.ReplaceAll(err.Error(), "\n\t", " ")
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, cause) {
			return fmt.Errorf("%s: %w", text, cause)
		}
	}
	return errors.New(text)
}
