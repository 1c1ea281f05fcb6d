package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// ErrOther means that another node answers at the address than the one that is to be there.
var ErrOther = errors.New("another node answers at this address")

// A replyHook gives every command of a pipeline without a reply the reason for that.
//
// Where a node refuses a connection before it can be used (AUTH, HELLO, a limit of clients), go-redis returns what the node
// said and leaves the commands as they were: without a reply, and without an error. They would pass for empty answers.
type replyHook struct{}

func (replyHook) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (replyHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (replyHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil || slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Err() != nil }) {
			return err
		}
		err = &notLetIn{err}
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

// notLetIn is why a connection could not be used. It is no reply to a command, even if a node sent it: no command was sent.
type notLetIn struct{ cause error }

func (e *notLetIn) Error() string { return fmt.Sprintf("the connection was not let in: %s", e.cause) }

// letIn is the cause of a failure that came before any command, and nil for every other error.
func letIn(err error) error {
	if e, ok := errors.AsType[*notLetIn](err); ok {
		return e.cause
	}
	return nil
}
