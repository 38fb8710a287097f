#include "cache.h"

#include "measure.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

/* Rows that nobody has, and keys: known for so long. */
#define ABSENT_NS OS_NS_PER_S
/* Of a transaction; as many operations as there can be. More, and this process forgets everything,
 * and the others what they have when it is over. */
#define WRITES_MAX  65536
#define FLIGHTS_MAX 1024
/* Of the entries, those without a value: absent rows, and versions that are awaited. */
#define EMPTY_SHARE 4
/* Copies do not all end at once: each lives up to a quarter less. */
#define JITTER_SHARE 4

/* A row that the open transaction writes. */
struct written {
    struct cache_key key;
    uint64_t version; /* 0: whatever was known is wrong */
    const struct resource_op *op;
};

/* A question under way, and who waits for it. */
struct flight {
    struct map_link link;
    struct resource_cache *cache;
    struct list waiters;
    uint64_t ticket;
    struct port_cache_ask ask;
};

struct resource_cache {
    struct port_cache_user user;
    struct resource_runtime *runtime;
    struct port_cache *far; /* NULL: only in this process */
    struct cache *table;
    void *memory;
    bool hears;
    uint8_t names_secret[RESOURCE_HASH_SIZE];
    uint8_t seals_secret[RESOURCE_HASH_SIZE];
    uint64_t life_ns;
    /* Before anything was read that the store has in memory for this group. */
    bool in_group;
    uint64_t group_ticket;
    uint64_t group_ns;
    uint64_t group_wall_ms;
    uint64_t evictions; /* that were counted */
    struct map flights;
    bool all_written; /* too many to tell them apart */
    uint32_t written_count;
    struct written written[WRITES_MAX];
    uint8_t scratch[PORT_CACHE_VALUE_MAX + 64];
};

/* -------------------------------------------------------------------------------------- names */

/* Of kind, scope and id; what stands in Redis shows none of them. */
static void
name_of(
    const struct resource_cache *cache,
    const char *kind,
    uint64_t scope,
    struct span id,
    struct cache_key *ret_key)
{
    char text[256];
    struct buf name;
    uint8_t hash[RESOURCE_HASH_SIZE];
    buf_init_fixed(&name, text, sizeof(text));
    buf_append_cstr(&name, kind);
    buf_append_byte(&name, '\0');
    buf_append_u64(&name, scope);
    buf_append_byte(&name, '\0');
    buf_append(&name, id.data, id.size);
    ASSERT(!buf_failed(&name));
    resource_hmac(cache->names_secret, buf_span(&name), hash);
    memcpy(ret_key->bytes, hash, CACHE_KEY_SIZE);
}

/* Of a row that an operation reads. */
static const struct cache_key *
name_read(struct resource_op *op, const struct document_kind *kind, struct span id)
{
    if (op->named_kind == kind && span_equal(id, span_of(op->named_id, op->named_size))) {
        return &op->name;
    }
    name_of(op->runtime->cache, kind->name, op->caller.scope, id, &op->name);
    op->named_kind = kind;
    op->named_size = id.size;
    if (id.size > 0) {
        memcpy(op->named_id, id.data, id.size);
    }
    return &op->name;
}

static uint64_t
now_ns(const struct resource_cache *cache)
{
    return os_monotonic_ns(cache->runtime->parts.clock);
}

/* A life for a copy that this group has read. */
static uint64_t
life_of(const struct resource_cache *cache, const struct cache_key *key)
{
    uint64_t mixed;
    memcpy(&mixed, key->bytes + 8, sizeof(mixed));
    mixed = hash_u64(mixed ^ cache->group_ns);
    return cache->life_ns - mixed % (cache->life_ns / JITTER_SHARE + 1);
}

static void
release_value(void *context, void *value)
{
    (void)context;
    free(value);
}

static void
count_table(struct resource_cache *cache)
{
    struct cache_counts counts;
    cache_count(cache->table, &counts);
    resource_measure_cache(counts.entries, counts.bytes, counts.evictions - cache->evictions);
    cache->evictions = counts.evictions;
}

/* ----------------------------------------------------------------------------------- reading */

static bool
is_get(const struct resource_op *op)
{
    return op->request != NULL && strcmp(op->route->method, "GET") == 0;
}

bool
resource_cache_serves(
    const struct resource_op *op, const struct document_kind *kind, struct span id)
{
    const struct resource_cache *cache = op->runtime->cache;
    return cache != NULL && cache->hears && kind->copied && is_get(op) && id.size < ID_TEXT_SIZE;
}

/* The open transaction has rows of its own, which are not what the database has. This is seldom,
 * so that nobody asks which. */
static bool
is_written(const struct resource_cache *cache)
{
    return cache->written_count > 0;
}

static err_t
decode(
    struct resource_op *op,
    const struct resource_type *type,
    struct span id,
    const struct cache_value *value,
    void **ret_document)
{
    struct span body = arena_copy(&op->arena, span_of(value->value, value->size));
    struct span own_id = arena_copy(&op->arena, id);
    struct resource_header *header = resource_row_new(&op->arena, type, op->caller.scope, own_id);
    if (body.data == NULL || own_id.data == NULL || header == NULL) {
        return ERR_FULL;
    }
    TRY(resource_fields_decode(&op->arena, type, body, header));
    header->version = (uint32_t)value->version;
    *ret_document = header;
    return ERR_OK;
}

bool
resource_cache_find(
    struct resource_op *op,
    const struct resource_type *type,
    struct span id,
    err_t *ret_result,
    void **ret_document)
{
    struct resource_cache *cache = op->runtime->cache;
    struct cache_value value = {.value = NULL};
    const struct cache_key *key = name_read(op, type->kind, id);
    enum cache_found found = cache_get(cache->table, key, now_ns(cache), &value);
    if (is_written(cache)) {
        found = CACHE_MISS; /* reads see the writes of their group (DOCUMENT-3) */
    }
    resource_measure_cache_read(found);
    switch (found) {
    case CACHE_MISS:
        return false;
    case CACHE_ABSENT:
        *ret_result = ERR_NOT_FOUND;
        return true;
    case CACHE_HIT:
        break;
    }
    *ret_result = decode(op, type, id, &value, ret_document);
    return true;
}

/* The kind of which a row has such an id, of those that are copied. */
static const struct document_kind *
kind_of(const struct resource_runtime *runtime, struct span id)
{
    for (uint32_t i = 0; i < runtime->seen_type_count && id.size < ID_TEXT_SIZE; i++) {
        const struct resource_seen_type *seen = &runtime->seen_types[i];
        if (seen->type->kind->copied && id.size > seen->prefix.size &&
            span_starts_with(id, seen->prefix)) {
            return seen->type->kind;
        }
    }
    return NULL;
}

bool
resource_cache_has(struct resource_op *op, struct span id)
{
    struct resource_cache *cache = op->runtime->cache;
    const struct document_kind *kind = cache == NULL ? NULL : kind_of(op->runtime, id);
    struct cache_value value;
    if (kind == NULL || !resource_cache_serves(op, kind, id)) {
        return false;
    }
    return cache_get(cache->table, name_read(op, kind, id), now_ns(cache), &value) != CACHE_MISS;
}

/* Into the memory of this process. */
static void
keep(
    struct resource_cache *cache,
    const struct cache_key *key,
    uint64_t ticket,
    struct span body,
    const struct cache_value *as)
{
    struct cache_value value = *as;
    if (as->version != CACHE_VERSION_NONE) {
        value.value = malloc(body.size + 1);
        value.size = body.size;
        if (value.value == NULL) {
            return;
        }
        memcpy(value.value, body.data, body.size);
    }
    resource_measure_cache_put(cache_put(cache->table, key, ticket, now_ns(cache), &value));
    count_table(cache);
}

/* To the others, if this operation has the lease for it. */
static void
store_far(
    struct resource_cache *cache,
    struct resource_op *op,
    const struct cache_key *key,
    uint64_t version,
    struct span body,
    uint64_t life_ns)
{
    if (!op->has_lease || memcmp(&op->lease_key, key, sizeof(*key)) != 0 ||
        body.size > RESOURCE_CACHE_BODY_MAX) {
        return;
    }
    op->has_lease = false;
    uint64_t life_ms = life_ns / OS_NS_PER_MS;
    if (life_ms == 0) {
        return;
    }
    uint8_t nonce[RESOURCE_CACHE_NONCE_SIZE];
    struct os_entropy *entropy = cache->runtime->parts.entropy;
    entropy->fill(entropy, nonce, sizeof(nonce));
    const struct resource_cache_sealed sealed = {
        .key = key,
        .version = version,
        .expires_ms = cache->group_wall_ms + life_ms,
        .body = body,
    };
    resource_cache_seal(cache->seals_secret, nonce, &sealed, cache->scratch);
    cache->far->store(
        cache->far,
        key,
        op->lease,
        version,
        span_of(cache->scratch, body.size + RESOURCE_CACHE_SEAL_SIZE),
        life_ms);
}

void
resource_cache_learn(
    struct resource_op *op,
    const struct resource_type *type,
    struct span id,
    err_t result,
    const struct resource_header *document)
{
    struct resource_cache *cache = op->runtime->cache;
    const struct cache_key *key = name_read(op, type->kind, id);
    if (!cache->in_group || is_written(cache)) {
        return;
    }
    if (result == ERR_NOT_FOUND) {
        const struct cache_value absent = {
            .version = CACHE_VERSION_NONE, .expires_ns = cache->group_ns + ABSENT_NS};
        keep(cache, key, cache->group_ticket, SPAN_EMPTY, &absent);
    } else if (result == ERR_OK && document->stored != NULL) {
        struct span body = document->stored->body;
        uint64_t life_ns = life_of(cache, key);
        const struct cache_value value = {
            .version = document->version, .expires_ns = cache->group_ns + life_ns};
        keep(cache, key, cache->group_ticket, body, &value);
        store_far(cache, op, key, document->version, body, life_ns);
    }
}

/* ------------------------------------------------------------------------------------ asking */

static struct flight *
flight_find(const struct resource_cache *cache, const struct cache_key *key)
{
    uint64_t hash;
    memcpy(&hash, key->bytes, sizeof(hash));
    for (struct map_link *link = map_find(&cache->flights, hash); link != NULL;
         link = map_next(link)) {
        struct flight *flight = CONTAINER_OF(link, struct flight, link);
        if (memcmp(&flight->ask.key, key, sizeof(*key)) == 0) {
            return flight;
        }
    }
    return NULL;
}

/* What came from outside: only if it is ours, and of now. */
static void
take_found(struct resource_cache *cache, struct flight *flight)
{
    const struct port_cache_ask *ask = &flight->ask;
    struct resource_cache_sealed sealed = {.key = &ask->key, .version = ask->version};
    uint64_t wall_ms = os_wall_ns(cache->runtime->parts.clock) / OS_NS_PER_MS;
    bool good = resource_cache_open_sealed(
        cache->seals_secret, span_of(ask->value, ask->size), &sealed, cache->scratch);
    if (!good || ask->version == CACHE_VERSION_NONE || ask->version > UINT32_MAX) {
        resource_measure_cache_damaged();
        cache->far->forget(
            cache->far, &ask->key, CACHE_VERSION_NONE, cache->life_ns / OS_NS_PER_MS + 1);
        return;
    }
    /* Nobody gives one a longer life than that; clocks may differ a little. */
    if (sealed.expires_ms <= wall_ms ||
        sealed.expires_ms - wall_ms > cache->life_ns / OS_NS_PER_MS + 1) {
        return;
    }
    const struct cache_value value = {
        .version = ask->version,
        .expires_ns = now_ns(cache) + (sealed.expires_ms - wall_ms) * OS_NS_PER_MS,
    };
    keep(cache, &ask->key, flight->ticket, sealed.body, &value);
}

/* On the runtime's loop. Whoever waited goes on, with this group. */
static void
flight_done(struct port_cache_ask *ask)
{
    struct flight *flight = CONTAINER_OF(ask, struct flight, ask);
    struct resource_cache *cache = flight->cache;
    if (ask->answer == PORT_CACHE_FOUND && cache->hears) {
        take_found(cache, flight);
    }
    bool has_lease = ask->answer == PORT_CACHE_LEASED;
    for (;;) {
        struct list_link *link = list_pop_front(&flight->waiters);
        if (link == NULL) {
            break;
        }
        struct resource_op *op = CONTAINER_OF(link, struct resource_op, waiting);
        ASSERT(op->phase == RESOURCE_OP_WAITS_COPY);
        op->has_lease = has_lease;
        op->lease = ask->lease;
        op->lease_key = ask->key;
        has_lease = false; /* one reads, and stores it */
        op->phase = RESOURCE_OP_READY;
        resource_trace_waited(op, "copy wait");
        list_push_back(&cache->runtime->ready, &op->waiting);
    }
    map_remove(&cache->flights, &flight->link);
    free(flight);
}

static struct flight *
flight_begin(struct resource_cache *cache, const struct cache_key *key)
{
    uint64_t hash;
    memcpy(&hash, key->bytes, sizeof(hash));
    struct flight *flight = malloc(sizeof(*flight));
    if (flight == NULL || map_insert(&cache->flights, hash, &flight->link) != ERR_OK) {
        free(flight);
        return NULL;
    }
    flight->cache = cache;
    flight->ticket = cache_ticket(cache->table);
    flight->ask.done = flight_done;
    flight->ask.key = *key;
    flight->ask.life_ms = cache->life_ns / OS_NS_PER_MS + 1;
    list_init(&flight->waiters);
    cache->far->ask(cache->far, &flight->ask);
    return flight;
}

bool
resource_cache_asks(struct resource_op *op)
{
    struct resource_cache *cache = op->runtime->cache;
    if (cache == NULL || cache->far == NULL || !cache->hears || op->asked_copy || !is_get(op) ||
        op->caller.scope == 0) {
        return false;
    }
    struct span id = op->request->captures[0];
    const struct document_kind *kind = kind_of(op->runtime, id);
    if (kind == NULL || resource_cache_has(op, id)) {
        return false;
    }
    const struct cache_key *key = name_read(op, kind, id);
    struct flight *flight = flight_find(cache, key);
    if (flight == NULL) {
        flight = flight_begin(cache, key);
    }
    if (flight == NULL) {
        return false;
    }
    op->asked_copy = true;
    op->phase = RESOURCE_OP_WAITS_COPY;
    resource_trace_waits(op);
    list_remove(&op->waiting); /* of those that are ready */
    list_push_back(&flight->waiters, &op->waiting);
    return true;
}

/* ----------------------------------------------------------------------------------- writing */

void
/* A row is named by three things: NOLINTNEXTLINE(readability-function-size) */
resource_cache_wrote(
    struct resource_runtime *runtime,
    const struct resource_op *op,
    const struct document_kind *kind,
    uint64_t scope,
    struct span id,
    uint64_t version)
{
    struct resource_cache *cache = runtime->cache;
    if (cache == NULL || !kind->copied) {
        return;
    }
    ASSERT(id.size < ID_TEXT_SIZE); /* it is one of ours */
    if (cache->written_count == WRITES_MAX) {
        cache->all_written = true;
        return;
    }
    struct written *written = &cache->written[cache->written_count++];
    *written = (struct written){.version = version, .op = op};
    name_of(cache, kind->name, scope, id, &written->key);
}

static void
tell(struct resource_cache *cache, const struct cache_key *key, uint64_t version)
{
    if (cache->far != NULL) {
        cache->far->forget(cache->far, key, version, cache->life_ns / OS_NS_PER_MS + 1);
    }
}

void
resource_cache_settle(struct resource_runtime *runtime, err_t outcome)
{
    struct resource_cache *cache = runtime->cache;
    if (cache == NULL) {
        return;
    }
    for (uint32_t i = 0; i < cache->written_count; i++) {
        const struct written *written = &cache->written[i];
        /* Of a transaction that may have been committed, or a loser's row, only that it is not
         * known any more. */
        bool stands = outcome == ERR_OK && written->version != 0 &&
                      (runtime->shared == NULL ||
                       runtime->shared->outcome(runtime->documents, written->op) == ERR_OK);
        if (stands) {
            uint64_t now = now_ns(cache);
            cache_forget(cache->table, &written->key, written->version, now, now + cache->life_ns);
            if (written->version > 1) { /* of a new row there are no copies */
                tell(cache, &written->key, written->version);
            }
        } else {
            cache_drop(cache->table, &written->key);
            tell(cache, &written->key, CACHE_VERSION_NONE);
        }
    }
    if (cache->all_written) {
        cache_clear(cache->table);
    }
    cache->all_written = false;
    cache->written_count = 0;
}

/* ----------------------------------------------------------------------------------- API keys */

void
resource_cache_key_name(
    const struct resource_runtime *runtime, struct span hash_hex, struct cache_key *ret_name)
{
    *ret_name = (struct cache_key){{0}};
    if (runtime->cache != NULL) {
        name_of(runtime->cache, "api_key", RESOURCE_SCOPE_NONE, hash_hex, ret_name);
    }
}

void
resource_cache_tell_key(struct resource_runtime *runtime, struct span hash_hex)
{
    struct resource_cache *cache = runtime->cache;
    struct cache_key name;
    if (cache != NULL) {
        resource_cache_key_name(runtime, hash_hex, &name);
        cache_drop(cache->table, &name);
        tell(cache, &name, CACHE_VERSION_NONE);
    }
}

bool
resource_cache_key_is_unknown(struct resource_runtime *runtime, const struct cache_key *name)
{
    struct resource_cache *cache = runtime->cache;
    struct cache_value value;
    return cache != NULL && cache->hears &&
           cache_get(cache->table, name, now_ns(cache), &value) == CACHE_ABSENT;
}

void
resource_cache_key_note_unknown(struct resource_runtime *runtime, const struct cache_key *name)
{
    struct resource_cache *cache = runtime->cache;
    if (cache != NULL && cache->hears && cache->in_group) {
        const struct cache_value absent = {
            .version = CACHE_VERSION_NONE, .expires_ns = cache->group_ns + ABSENT_NS};
        keep(cache, name, cache->group_ticket, SPAN_EMPTY, &absent);
    }
}

/* ------------------------------------------------------------------------------------- others */

static void
heard_forget(struct port_cache_user *user, const struct cache_key *key, uint64_t version)
{
    struct resource_cache *cache = CONTAINER_OF(user, struct resource_cache, user);
    /* Who can write to Redis could say that a row is gone: that is not believed, only that nothing
     * is known of it. */
    if (version == CACHE_VERSION_NONE || version > UINT32_MAX) {
        resource_auth_forget_named(cache->runtime, key);
        cache_drop(cache->table, key);
    } else {
        uint64_t now = now_ns(cache);
        cache_forget(cache->table, key, version, now, now + cache->life_ns);
    }
}

static void
heard_state(struct port_cache_user *user, bool hears)
{
    struct resource_cache *cache = CONTAINER_OF(user, struct resource_cache, user);
    cache->hears = hears;
    cache_clear(cache->table);
    resource_measure_cache_hears(hears);
    count_table(cache);
}

/* ------------------------------------------------------------------------------------- life */

void
resource_cache_group_reads(struct resource_runtime *runtime)
{
    struct resource_cache *cache = runtime->cache;
    if (cache != NULL && !cache->in_group) {
        cache->in_group = true;
        cache->group_ticket = cache_ticket(cache->table);
        cache->group_ns = now_ns(cache);
        cache->group_wall_ms = os_wall_ns(runtime->parts.clock) / OS_NS_PER_MS;
    }
}

void
resource_cache_group_ended(struct resource_runtime *runtime)
{
    if (runtime->cache != NULL) {
        runtime->cache->in_group = false;
    }
}

err_t
resource_cache_open(struct resource_runtime *runtime)
{
    const struct resource_settings *settings = &runtime->parts.settings;
    if (settings->cache_entries_max == 0 || runtime->shared == NULL) {
        return ERR_OK;
    }
    struct resource_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL) {
        return ERR_MEMORY;
    }
    uint32_t empty_max = settings->cache_entries_max / EMPTY_SHARE;
    const struct cache_settings table = {
        .entries_max = settings->cache_entries_max,
        .empty_max = empty_max == 0 ? 1 : empty_max,
        .bytes_max = settings->cache_bytes_max,
        .release = release_value,
    };
    cache->memory = malloc(cache_memory_size(&table));
    if (cache->memory == NULL) {
        free(cache);
        return ERR_MEMORY;
    }
    cache->table = cache_init(cache->memory, &table);
    cache->runtime = runtime;
    cache->life_ns = settings->cache_life_ns;
    cache->far = runtime->parts.cache;
    cache->hears = cache->far == NULL; /* nobody to hear */
    map_init(&cache->flights, FLIGHTS_MAX);
    resource_hmac(runtime->secret, SPAN("copies: names"), cache->names_secret);
    resource_hmac(runtime->secret, SPAN("copies: seals"), cache->seals_secret);
    cache->user = (struct port_cache_user){
        .executor = runtime->executor, .forget = heard_forget, .hears = heard_state};
    if (cache->far != NULL) {
        cache->far->use(cache->far, &cache->user);
    }
    resource_measure_cache_hears(cache->hears);
    runtime->cache = cache;
    return ERR_OK;
}

static void
flight_free(void *context, struct map_link *link)
{
    (void)context;
    free(CONTAINER_OF(link, struct flight, link));
}

/* The other side has ended: no answer comes any more. */
void
resource_cache_close(struct resource_runtime *runtime)
{
    struct resource_cache *cache = runtime->cache;
    if (cache == NULL) {
        return;
    }
    map_each(&cache->flights, flight_free, NULL);
    map_release(&cache->flights);
    cache_clear(cache->table);
    free(cache->memory);
    explicit_bzero(cache->names_secret, sizeof(cache->names_secret));
    explicit_bzero(cache->seals_secret, sizeof(cache->seals_secret));
    free(cache);
    runtime->cache = NULL;
}
