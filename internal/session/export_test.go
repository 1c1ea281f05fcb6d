package session

import "context"

// TouchNow does what the background does for a session that was read.
func TouchNow(s *RedisStore, ref Ref) { s.touches.touch(ref, touchArgs{}) }

// CountNow takes the census.
func CountNow(s *RedisStore) { s.census.take(context.Background()) }
