/* What is written to Redis and read from it; pure. The URL, values, and what processes tell. */
#ifndef REDIS_TEXT_H
#define REDIS_TEXT_H

#include "redis/redis.h"

#define REDIS_HOST_SIZE     256
#define REDIS_WORD_SIZE     256
#define REDIS_VERSION_SIZE  20 /* digits */
#define REDIS_KEY_TEXT_SIZE 32 /* hex digits */
#define REDIS_LEASE_SIZE    16 /* hex digits */
#define REDIS_TOLD_SIZE     (1 + REDIS_KEY_TEXT_SIZE + REDIS_VERSION_SIZE)

struct redis_url {
    char host[REDIS_HOST_SIZE];
    uint16_t port;
    uint32_t database;
    char user[REDIS_WORD_SIZE];
    char password[REDIS_WORD_SIZE];
};

/* False: the message says why, without the URL, which has a password in it. */
MUST_USE bool redis_url_parse(
    struct span text, struct redis_url *ret_url, char message[REDIS_MESSAGE_SIZE]);

void redis_version_text(uint64_t version, char out[REDIS_VERSION_SIZE + 1]);
void redis_key_text(const struct cache_key *key, char out[REDIS_KEY_TEXT_SIZE + 1]);
void redis_lease_text(uint64_t lease, char out[REDIS_LEASE_SIZE + 1]);

/* A value as it is stored, "V" and so on; false if it is none, or larger than the port allows. */
MUST_USE bool redis_value_decode(struct span text, uint64_t *ret_version, struct span *ret_value);

enum redis_told {
    REDIS_TOLD_FORGET, /* key and version */
    REDIS_TOLD_ALIVE,  /* somebody is there */
    REDIS_TOLD_OTHER,  /* nobody of ours said that */
};

void redis_told_encode(
    const struct cache_key *key, uint64_t version, char out[REDIS_TOLD_SIZE + 1]);
enum redis_told redis_told_decode(
    struct span text, struct cache_key *ret_key, uint64_t *ret_version);

#endif
