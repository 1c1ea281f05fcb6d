package session

import "context"

// TouchNow does what the background does for a session that was read.
func TouchNow(s *RedisStore, ref Ref) { s.touches.touch(ref, touchArgs{}) }

// FailedTouches counts the touches that wait for another try.
func FailedTouches(s *RedisStore) int {
	s.touches.retries.mu.Lock()
	defer s.touches.retries.mu.Unlock()
	return len(s.touches.retries.waiting)
}

// CountNow takes the census.
func CountNow(s *RedisStore) { s.census.take(context.Background()) }
