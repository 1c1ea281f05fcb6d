-- Lists one page of a user's sessions, oldest first. It only reads.
-- KEYS: 1 the index.
-- ARGV, in the order of listArgs in args.go:
--   1 prefix  what the keys of the user's sessions begin with
--   2 u       the user
--   3 after   the index member behind which the page starts, '' for the first page
--   4 limit   sessions on the page
-- Answers 'cursor' if the member is another user's. Otherwise 'ok', the member behind which the next page starts ('' at
-- the end), and for each session its name and the clear part of its record.
local prefix, u, after, limit = unpack(ARGV)
limit = tonumber(limit)

if after ~= '' and string.sub(after, 1, 8) ~= owner(u) then return {'cursor'} end
local reply, found, last = {'ok', ''}, 0, ''
for _, m in ipairs(members(KEYS[1], u, after)) do
  local key, h = indexed(prefix, m, u)
  if h and found == limit then
    reply[2] = last
    break
  elseif h then -- dead members are skipped, not removed: a replica may run this
    found, last = found + 1, m
    reply[#reply + 1] = string.sub(m, -NAME)
    reply[#reply + 1] = clear(key, h)
  end
end
return reply
