package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

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
	if errors.Is(err, sql.ErrNoRows) {
		// A question that was cut short has not been answered.
		if cause := ctx.Err(); cause != nil {
			return cause
		}
		return store.ErrNotFound
	}
	var refused *driver.Error
	if !errors.As(err, &refused) {
		return err
	}
	switch refused.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return store.ErrConflict
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return store.ErrReference
	}
	return err
}
