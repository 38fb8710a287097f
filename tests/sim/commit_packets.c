/*
 * What is under way between clients, coordinators and shards: packets in a heap by time, and a
 * network that loses, doubles and delays them until it is healed.
 */
#include "commit_world.h"

#include <stdlib.h>
#include <string.h>

struct packet *
packet_create(enum packet_kind kind)
{
    struct packet *packet = malloc(sizeof(*packet));
    ASSERT(packet != NULL);
    memset(packet, 0, offsetof(struct packet, items));
    packet->kind = kind;
    return packet;
}

void
packet_destroy(struct packet *packet)
{
    free(packet->doubts);
    free(packet);
}

struct packet *
packet_copy(const struct packet *packet)
{
    struct packet *copy = malloc(sizeof(*copy));
    ASSERT(copy != NULL);
    *copy = *packet;
    if (packet->doubts != NULL) {
        size_t size = packet->doubt_count * sizeof(struct shard_doubt);
        copy->doubts = malloc(size);
        ASSERT(copy->doubts != NULL);
        memcpy(copy->doubts, packet->doubts, size);
    }
    return copy;
}

static bool
is_before(const struct packet *a, const struct packet *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void
queue_push(struct world *world, struct packet *packet)
{
    ASSERT(world->queue_count < WORLD_QUEUE_MAX);
    uint32_t at = world->queue_count++;
    while (at > 0 && is_before(packet, world->queue[(at - 1) / 2])) {
        world->queue[at] = world->queue[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->queue[at] = packet;
}

struct packet *
world_next(struct world *world)
{
    ASSERT(world->queue_count > 0);
    struct packet *first = world->queue[0];
    struct packet *last = world->queue[--world->queue_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= world->queue_count) {
            break;
        }
        if (child + 1 < world->queue_count &&
            is_before(world->queue[child + 1], world->queue[child])) {
            child++;
        }
        if (!is_before(world->queue[child], last)) {
            break;
        }
        world->queue[at] = world->queue[child];
        at = child;
    }
    world->queue[at] = last;
    return first;
}

void
world_schedule(struct world *world, struct packet *packet, uint64_t delay)
{
    packet->at = world->now + delay;
    packet->order = world->order++;
    queue_push(world, packet);
}

bool
world_is_healed(const struct world *world)
{
    return world->quiet || world->now >= world->healed_at;
}

static uint64_t
network_delay(struct world *world)
{
    if (world_is_healed(world)) {
        return 1 + os_prng_below(&world->prng, 3);
    }
    uint64_t longest = os_prng_chance(&world->prng, 1, 10) ? 400 : 15;
    return 1 + os_prng_below(&world->prng, longest);
}

void
world_send(struct world *world, struct packet *packet)
{
    bool to_client = packet->kind == PACKET_ASK || packet->kind == PACKET_TOLD;
    bool cut = !to_client && world->cut[packet->node][packet->shard];
    if (!world_is_healed(world) && (cut || os_prng_chance(&world->prng, 1, 12))) {
        world->counts.lost++;
        packet_destroy(packet);
        return;
    }
    if (!world_is_healed(world) && os_prng_chance(&world->prng, 1, 12)) {
        world_schedule(world, packet_copy(packet), network_delay(world));
    }
    world_schedule(world, packet, network_delay(world));
}
