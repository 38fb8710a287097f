/*
 * What Redis runs, each alone (redis.io/docs/manual/programmability/eval-intro). KEYS[1] is a row's
 * key. What is there is `at`; what is not of ours is taken for nothing. Versions have 20 digits, so
 * that they compare as texts: a number of Lua could not hold them.
 *
 * A SET may be refused for lack of memory. Then nobody gets a lease, and what was to be forgotten
 * is deleted, which takes the leases away as well.
 */
#ifndef REDIS_SCRIPT_H
#define REDIS_SCRIPT_H

#define REDIS_AT                                                                                   \
    "local at = false\n"                                                                           \
    "if redis.call('TYPE', KEYS[1]).ok == 'string' and\n"                                          \
    "   redis.call('STRLEN', KEYS[1]) <= 16405 then at = redis.call('GET', KEYS[1]) end\n"         \
    "if at and not string.find(at, '^[VF]' .. string.rep('%d', 20)) then at = false end\n"         \
    "local kind = at and string.sub(at, 1, 1)\n"                                                   \
    "local version = at and string.sub(at, 2, 21) or '00000000000000000000'\n"                     \
    "local function set(value, life)\n"                                                            \
    "  local done = redis.pcall('SET', KEYS[1], value, 'PX', life)\n"                              \
    "  return not (type(done) == 'table' and done.err)\n"                                          \
    "end\n"

/* ARGV: a lease, its life. Answers the value, "L" (the lease is yours) or "T" (it is taken). */
#define REDIS_SCRIPT_ASK                                                                           \
    REDIS_AT                                                                                       \
    "if kind == 'V' then return at end\n"                                                          \
    "if at and #at > 21 then return 'T' end\n"                                                     \
    "if set('F' .. version .. ARGV[1], ARGV[2]) then return 'L' end\n"                             \
    "return 'T'\n"

/* ARGV: lease, version, value, life. Answers 1, or 0: refused. */
#define REDIS_SCRIPT_STORE                                                                         \
    REDIS_AT                                                                                       \
    "if kind ~= 'F' or string.sub(at, 22) ~= ARGV[1] or version > ARGV[2] then return 0 end\n"     \
    "if set('V' .. ARGV[2] .. ARGV[3], ARGV[4]) then return 1 end\n"                               \
    "return 0\n"

/* ARGV: version (0: any), life, channel, message. */
#define REDIS_SCRIPT_FORGET                                                                        \
    REDIS_AT                                                                                       \
    "redis.call('PUBLISH', ARGV[3], ARGV[4])\n"                                                    \
    "if ARGV[1] ~= '00000000000000000000' then\n"                                                  \
    "  if at and version >= ARGV[1] then return 0 end\n"                                           \
    "  if set('F' .. ARGV[1], ARGV[2]) then return 1 end\n"                                        \
    "end\n"                                                                                        \
    "redis.call('DEL', KEYS[1])\n"                                                                 \
    "return 1\n"

#endif
