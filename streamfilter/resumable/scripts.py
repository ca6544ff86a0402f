"""What is atomic in Redis, as scripts: what `MemoryStore` says in Python, in Lua.

`KEYS` are the items, the state and the readers. Times are milliseconds by Redis's clock. Numbers of 16 digits are passed as text,
as Lua would round them when it writes them.
Sources: Redis's documentation, "Scripting with Lua", XADD, XRANGE. A script that writes what it has read from the clock is
replicated by its effects, from Redis 5 on.
"""

from __future__ import annotations

_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""

_KEEP = """
local function keep(milliseconds)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, milliseconds) end
end
"""

CREATE = f"""
{_NOW}{_KEEP}
local owner, created = unpack(redis.call('HMGET', KEYS[2], 'owner', 'created'))
if owner == ARGV[1] then return created end
if owner then return 'exists' end
redis.call('DEL', KEYS[1], KEYS[3])
created = string.format('%d%06d', clock[1], clock[2])
redis.call('HSET', KEYS[2], 'owner', ARGV[1], 'created', created, 'heard', string.format('%d', now), 'last', 0,
  'lease', ARGV[2], 'keep', ARGV[3], 'max', ARGV[4], 'counts', ARGV[5])
keep(ARGV[2] + ARGV[3])
return created
"""
"""Begin a stream: owner, lease, keep, max_items, counts_readers."""

APPEND = f"""
{_NOW}{_KEEP}
local owner, created, heard, last, ended, lease, kept, max, asked, came, unread = unpack(redis.call('HMGET', KEYS[2],
  'owner', 'created', 'heard', 'last', 'ended', 'lease', 'keep', 'max', 'asked', 'came', 'unread'))
local is_end = ARGV[4] == 'end'
if not owner or owner ~= ARGV[1] then return 'lost' end
if ended then
  if is_end then return {{0, 0}} end
  return 'lost'
end
if now - heard > tonumber(lease) then return 'lapsed' end
last = tonumber(last)
local number = tonumber(ARGV[2])
if number > last + 1 or (last > 0 and redis.call('EXISTS', KEYS[1]) == 0) then return 'lost' end
if is_end then number = last + 1 end
for n = 5, #ARGV do
  if number > last then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', max, created .. '-' .. string.format('%d', number), ARGV[3], ARGV[n])
    last = number
  end
  number = number + 1
end
redis.call('HSET', KEYS[2], 'heard', string.format('%d', now), 'last', string.format('%d', last))
if is_end then
  redis.call('HSET', KEYS[2], 'ended', 1)
  keep(kept)
  return {{0, 0}}
end
if came then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%d', now))
  if redis.call('ZCARD', KEYS[3]) > 0 then
    unread = false
  elseif not unread then
    unread = now
    redis.call('HSET', KEYS[2], 'unread', string.format('%d', now))
  end
end
keep(lease + kept)
return {{asked and 1 or 0, unread and now - unread or 0}}
"""
"""Add entries: owner, the first one's number, their name, 'end' if it is the last one or '', and each of them."""

PAGE = f"""
{_NOW}{_KEEP}
local created, heard, last, ended, lease, kept, counts = unpack(redis.call('HMGET', KEYS[2],
  'created', 'heard', 'last', 'ended', 'lease', 'keep', 'counts'))
if not created then return 'unknown' end
if counts == '1' and ARGV[3] ~= '' and not ended and (ARGV[4] == '0' or ARGV[4] == created) then
  redis.call('ZADD', KEYS[3], string.format('%d', now + lease), ARGV[3])
  redis.call('PEXPIRE', KEYS[3], lease + kept)
  redis.call('HSET', KEYS[2], 'came', 1)
  redis.call('HDEL', KEYS[2], 'unread')
end
local first = created .. '-' .. string.format('%d', ARGV[1] + 1)
return {{created, tonumber(last), ended and 1 or 0, heard + lease - now, tonumber(lease), tonumber(counts),
  redis.call('XRANGE', KEYS[1], first, '+', 'COUNT', ARGV[2])}}
"""
"""What follows a number: number, how many at most, the reader or '', and when the stream began that it knows, or 0."""

LEAVE = f"""
{_NOW}
local created, counts, unread = unpack(redis.call('HMGET', KEYS[2], 'created', 'counts', 'unread'))
if ARGV[2] ~= '0' and ARGV[2] ~= created then return end
redis.call('ZREM', KEYS[3], ARGV[1])
if counts == '1' and not unread and redis.call('ZCARD', KEYS[3]) == 0 then
  redis.call('HSET', KEYS[2], 'came', 1, 'unread', string.format('%d', now))
end
"""
"""A reader has left: the reader, and when the stream began that it knows, or 0."""

ASK = f"""
{_NOW}
local heard, ended, lease = unpack(redis.call('HMGET', KEYS[2], 'heard', 'ended', 'lease'))
if not heard or ended or now - heard > tonumber(lease) then return 0 end
redis.call('HSET', KEYS[2], 'asked', 1)
return 1
"""
"""Ask the writer to stop."""
