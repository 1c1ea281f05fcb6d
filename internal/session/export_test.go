package session

// TouchNow does what the background does for a session that was read.
func TouchNow(s *RedisStore, ref Ref) { s.touches.touch(ref) }
