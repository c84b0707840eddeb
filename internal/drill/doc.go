// Package drill is the proof by real processes: servers of Postern over the real
// PostgreSQL and Redis, used at a steady rate while something is revoked, killed,
// cut or slow. Every answer is held against what the drill knows to be true of
// the key, and the figures are printed. It knows Postern as an operator does, by
// its binary, its settings and its two APIs, and nothing of how it is built.
//
// The tests are a short form of a few seconds each. With POSTERN_DRILL=whole they
// take minutes, and hold the times that are promised, too.
package drill
