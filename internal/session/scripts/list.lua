-- Lists a user's sessions, oldest first. It only reads.
-- KEYS: 1 the index.
-- ARGV, in the order of listArgs in args.go:
--   1 prefix  what the keys of the user's sessions begin with
--   2 u       the user
--   3 after   the index member behind which the list starts, '' for the first of the user
--   4 limit   sessions listed at most
--   5 slice   members looked at at most
-- Answers 'cursor' if the member is another user's. Otherwise 'ok', the member behind which the list goes on ('' at the end),
-- and for each session its name and the clear part of its record.
local prefix, u, after, limit, slice = unpack(ARGV)
limit, slice = tonumber(limit), tonumber(slice)

if after ~= '' and string.sub(after, 1, 8) ~= owner(u) then return {'cursor'} end
local reply, found, seen = {'ok', ''}, 0, ''
local all = members(KEYS[1], u, after, slice)
if #all == slice then reply[2] = all[slice] end
for _, m in ipairs(all) do
  local key, h = indexed(prefix, m, u)
  if h and found == limit then
    reply[2] = seen
    break
  elseif h then -- dead members are skipped, not removed: a replica may run this
    found, seen = found + 1, m
    reply[#reply + 1] = string.sub(m, -NAME)
    reply[#reply + 1] = clear(key, h)
  end
end
return reply
