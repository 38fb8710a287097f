/*
 * The id index against a model that is an array: random ids, changes of fate and pairs of ids with
 * one hash, on a simulated disk, with restarts, power failures at any operation, operations that
 * fail, and bits that flip. Runs are small, so that there are merges of merges. Half of the seeds
 * have a thread for the runs, which the simulation schedules.
 *
 * The journal is there only as far as the index reads it: whole frames without sections.
 *
 * TAEL_INDEX_ROUNDS  how many seeds
 * TAEL_INDEX_SEED    the first
 */
#include "journal_index.h"

#include "base/list.h"
#include "os/sim.h"
#include "os/sim_disk.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define ROUNDS       12
#define FRAMES       120
#define FRAME_OPS    40
#define IDS_MAX      (FRAMES * FRAME_OPS)
#define FOLDER       "ledger"
#define SEGMENT      FOLDER "/00000001.log"
#define SEGMENT_SIZE (UINT64_C(1) << 24)
#define STEPS_MAX    100000

struct t_id {
    uint64_t hash;
    uint64_t position;
    uint64_t changed; /* the position of the event that set the fate; 0: none did */
    enum journal_fate fate;
};

struct t_world {
    struct os_prng prng;
    struct os_sim_disk *sim_disk;
    struct os_disk *disk;
    struct os_sim *sim; /* NULL: no threads */
    struct os_loop *loop;
    struct os_loop *io;
    struct os_task held;
    bool held_ran;
    struct journal_index index;
    bool open;

    struct t_id ids[IDS_MAX];
    uint32_t id_count;
    struct journal_frame_header frames[FRAMES]; /* durable ones */
    uint32_t frame_count;
    char *block; /* JOURNAL_BLOCK, aligned */
    uint32_t table_entries;
};

static uint64_t
setting(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text == NULL ? fallback : strtoull(text, NULL, 10);
}

static uint64_t
frame_position(uint32_t number)
{
    return journal_position(1, (uint64_t)JOURNAL_BLOCK * (number + 1));
}

/* --- the world --- */

static struct t_world *
world_create(uint64_t seed, uint32_t table_entries)
{
    struct t_world *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    os_prng_seed(&t->prng, seed);
    t->table_entries = table_entries;
    struct os_sim_disk_settings settings = {.seed = seed, .faults = true};
    assert_int_equal(os_sim_disk_create(&settings, &t->sim_disk), ERR_OK);
    t->disk = os_sim_disk_ops(t->sim_disk);
    t->block = aligned_alloc(JOURNAL_BLOCK, JOURNAL_BLOCK);
    assert_non_null(t->block);
    struct os_file *file = NULL;
    assert_int_equal(t->disk->ops->make_folder(t->disk, FOLDER), ERR_OK);
    assert_int_equal(
        t->disk->ops->open(t->disk, SEGMENT, OS_OPEN_CREATE, false, &file, NULL), ERR_OK);
    assert_int_equal(t->disk->ops->allocate(t->disk, file, SEGMENT_SIZE), ERR_OK);
    assert_int_equal(t->disk->ops->sync(t->disk, file), ERR_OK);
    assert_int_equal(t->disk->ops->sync_folder(t->disk, FOLDER), ERR_OK);
    assert_int_equal(t->disk->ops->sync_folder(t->disk, "."), ERR_OK);
    t->disk->ops->close(t->disk, file);
    if (seed % 2 == 0) {
        assert_int_equal(os_sim_create(seed, &t->sim), ERR_OK);
    }
    return t;
}

static void
index_close(struct t_world *t)
{
    if (!t->open) {
        return;
    }
    journal_index_stop(&t->index);
    if (t->sim != NULL) {
        os_loop_stop(t->loop);
        os_loop_stop(t->io);
    }
    journal_index_release(&t->index);
    if (t->sim != NULL) {
        os_loop_destroy(t->loop);
        os_loop_destroy(t->io);
    }
    t->open = false;
}

static void
world_destroy(struct t_world *t)
{
    index_close(t);
    os_sim_destroy(&t->sim);
    os_sim_disk_destroy(&t->sim_disk);
    free(t->block);
    free(t);
}

static void
held_run(struct os_task *task)
{
    struct t_world *t = CONTAINER_OF(task, struct t_world, held);
    if (!journal_index_hold(&t->index, task)) {
        t->held_ran = true;
    }
}

/* What the I/O thread does before it writes. With a thread for the runs the frame may be held, but
 * not for ever. */
static void
frame_wait(struct t_world *t)
{
    if (t->sim == NULL) {
        assert_false(journal_index_hold(&t->index, &t->held));
        return;
    }
    t->held.run = held_run;
    t->held_ran = false;
    os_post(os_loop_executor(t->io), &t->held);
    for (uint32_t i = 0; !t->held_ran; i++) {
        assert_true(i < STEPS_MAX);
        assert_true(os_sim_step(t->sim));
    }
}

/* --- the journal --- */

static err_t
frame_write(struct t_world *t, struct journal_frame_header *header)
{
    struct os_file *file = NULL;
    uint64_t offset = journal_position_offset(frame_position(t->frame_count));
    *header = (struct journal_frame_header){
        .sequence = t->frame_count + 1,
        .identity = 77,
        .previous = t->frame_count == 0 ? 0 : t->frames[t->frame_count - 1].checksum,
        .size = JOURNAL_BLOCK,
        .term = 1 + os_prng_below(&t->prng, 1000), /* no two attempts are the same */
    };
    journal_frame_pad(t->block, 0);
    journal_frame_seal(header, t->block);
    memcpy(header, t->block, sizeof(*header));
    TRY(t->disk->ops->open(t->disk, SEGMENT, OS_OPEN_WRITE, false, &file, NULL));
    err_t code = t->disk->ops->write(t->disk, file, t->block, JOURNAL_BLOCK, offset);
    if (code == ERR_OK) {
        code = t->disk->ops->sync(t->disk, file);
    }
    t->disk->ops->close(t->disk, file);
    return code;
}

/* One entry of a frame: a new id, which may share its hash with another one, or a new fate. */
static err_t
op_draw(struct t_world *t, uint64_t position)
{
    struct t_id *id = t->id_count == 0 ? NULL : &t->ids[os_prng_below(&t->prng, t->id_count)];
    if (id != NULL && id->fate == JOURNAL_FATE_PENDING && id->changed == 0) {
        id->fate = JOURNAL_FATE_POSTED + (enum journal_fate)os_prng_below(&t->prng, 3);
        id->changed = position;
        return journal_index_put(&t->index, id->hash, id->position, id->fate);
    }
    bool shares = id != NULL && os_prng_chance(&t->prng, 1, 8);

    enum journal_fate fates[] = {
        JOURNAL_FATE_SINGLE, JOURNAL_FATE_PENDING, JOURNAL_FATE_PENDING, JOURNAL_FATE_FAILED};
    struct t_id fresh = {
        .hash = shares ? id->hash : os_prng_next(&t->prng),
        .position = position,
        .fate = fates[os_prng_below(&t->prng, 4)],
    };
    t->ids[t->id_count++] = fresh;
    return journal_index_put(&t->index, fresh.hash, fresh.position, fresh.fate);
}

/* What the frame that is not durable did to the model is undone. */
static void
frame_forget(struct t_world *t)
{
    uint64_t position = frame_position(t->frame_count);
    while (t->id_count > 0 && t->ids[t->id_count - 1].position >= position) {
        t->id_count--;
    }
    for (uint32_t i = 0; i < t->id_count; i++) {
        if (t->ids[i].changed >= position) {
            t->ids[i].changed = 0;
            t->ids[i].fate = JOURNAL_FATE_PENDING;
        }
    }
}

/* The threads get on by a random number of steps. */
static void
run_some(struct t_world *t)
{
    while (t->sim != NULL && os_prng_chance(&t->prng, 2, 3) && os_sim_step(t->sim)) {
    }
}

/* A frame with random entries, made durable. False if the disk or the index said no: then the frame
 * is not there. */
static bool
frame_add(struct t_world *t)
{
    uint64_t position = frame_position(t->frame_count);
    err_t code = journal_index_frame(&t->index, position);
    if (code != ERR_OK) {
        /* No frame is under way that anybody could wait for. */
        assert_int_not_equal(code, ERR_BUSY);
        run_some(t);
        return false;
    }
    uint32_t count = 1 + (uint32_t)os_prng_below(&t->prng, FRAME_OPS);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t place = position + sizeof(struct journal_frame_header) + UINT64_C(16) * i;
        assert_int_equal(op_draw(t, place), ERR_OK);
    }
    frame_wait(t);
    struct journal_frame_header header;
    if (frame_write(t, &header) != ERR_OK) {
        frame_forget(t);
        return false;
    }
    t->frames[t->frame_count++] = header;
    journal_index_durable(&t->index, position, &header);
    run_some(t);
    return true;
}

/* --- starting --- */

static err_t
put_again(struct t_world *t, const struct t_id *id, uint64_t from, uint64_t to)
{
    if (id->position >= from && id->position < to) {
        bool pending = id->changed != 0;
        TRY(journal_index_put(
            &t->index, id->hash, id->position, pending ? JOURNAL_FATE_PENDING : id->fate));
    }
    if (id->changed >= from && id->changed < to) {
        TRY(journal_index_put(&t->index, id->hash, id->position, id->fate));
    }
    return ERR_OK;
}

/* As journal_load does: all frames are told of, entries only behind what is covered. */
static err_t
index_open(struct t_world *t)
{
    journal_index_init(&t->index, t->disk, FOLDER, t->table_entries);
    t->open = true;
    if (t->sim != NULL) {
        assert_int_equal(os_loops_create(os_sim_loops(t->sim), "index", &t->loop), ERR_OK);
        assert_int_equal(os_loops_create(os_sim_loops(t->sim), "io", &t->io), ERR_OK);
    }
    TRY(journal_index_open(&t->index, FOLDER));
    uint64_t covered = journal_index_covered(&t->index);
    assert_true(covered <= frame_position(t->frame_count));
    assert_true(covered % JOURNAL_BLOCK == 0);
    for (uint32_t i = 0; i < t->frame_count; i++) {
        uint64_t position = frame_position(i);
        if (i > 0) {
            journal_index_durable(&t->index, frame_position(i - 1), &t->frames[i - 1]);
        }
        TRY(journal_index_frame(&t->index, position));
        for (uint32_t k = 0; k < t->id_count && position >= covered; k++) {
            TRY(put_again(t, &t->ids[k], position, position + JOURNAL_BLOCK));
        }
    }
    if (t->frame_count > 0) {
        uint32_t last = t->frame_count - 1;
        journal_index_durable(&t->index, frame_position(last), &t->frames[last]);
    }
    if (t->sim != NULL) {
        journal_index_start(&t->index, t->loop, os_loop_executor(t->io));
        assert_int_equal(os_loop_start(t->loop), ERR_OK);
        assert_int_equal(os_loop_start(t->io), ERR_OK);
    }
    return ERR_OK;
}

/* --- comparing --- */

static bool
candidate_is_known(const struct t_world *t, const struct journal_index_entry *entry)
{
    for (uint32_t i = 0; i < t->id_count; i++) {
        if (t->ids[i].position == journal_index_entry_position(entry)) {
            return t->ids[i].hash == entry->hash;
        }
    }
    return false;
}

/* The first candidate with the id's position has its fate. ERR_CORRUPT if a run is damaged. */
static err_t
compare_id(struct t_world *t, const struct t_id *id)
{
    journal_index_prefetch(&t->index, id->hash);
    struct journal_index_cursor cursor = journal_index_find(&t->index, id->hash);
    struct journal_index_entry entry;
    bool found = false;
    for (;;) {
        TRY(journal_index_next(&t->index, &cursor, &entry));
        if (entry.reference == 0) {
            assert_true(found);
            return ERR_OK;
        }
        assert_int_equal(entry.hash, id->hash);
        assert_true(candidate_is_known(t, &entry));
        if (!found && journal_index_entry_position(&entry) == id->position) {
            found = true;
            assert_int_equal(journal_index_entry_fate(&entry), id->fate);
        }
    }
}

static err_t
compare_all(struct t_world *t)
{
    for (uint32_t i = 0; i < t->id_count; i++) {
        TRY(compare_id(t, &t->ids[i]));
    }
    for (uint32_t i = 0; i < 100; i++) {
        struct journal_index_cursor cursor = journal_index_find(&t->index, os_prng_next(&t->prng));
        struct journal_index_entry entry;
        TRY(journal_index_next(&t->index, &cursor, &entry));
        assert_int_equal(entry.reference, 0);
    }
    return ERR_OK;
}

static uint32_t
highest_level(const struct t_world *t)
{
    return t->index.set->count == 0 ? 0 : t->index.set->groups[0]->level;
}

/* --- the tests --- */

static void
restart(struct t_world *t)
{
    index_close(t);
    assert_int_equal(index_open(t), ERR_OK);
    assert_int_equal(compare_all(t), ERR_OK);
}

/* MERGE-1, RUN-2: with merges of merges the first entry of a position is the newest one. */
static void
equals_model(void **state)
{
    (void)state;
    uint64_t first = setting("TAEL_INDEX_SEED", 1);
    uint64_t rounds = setting("TAEL_INDEX_ROUNDS", ROUNDS);
    uint32_t level = 0;
    bool divided = false;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct t_world *t = world_create(seed, 1 + (uint32_t)(seed % 7) * 8);
        assert_int_equal(index_open(t), ERR_OK);
        while (t->frame_count < FRAMES) {
            assert_true(frame_add(t));
            if (os_prng_chance(&t->prng, 1, 30)) {
                assert_int_equal(compare_all(t), ERR_OK);
            }
            if (os_prng_chance(&t->prng, 1, 40)) {
                restart(t);
            }
        }
        restart(t);
        assert_true(journal_index_covered(&t->index) > 0);
        level = highest_level(t) > level ? highest_level(t) : level;
        divided = divided || (t->index.set->count > 0 && t->index.set->groups[0]->bits > 0);
        world_destroy(t);
    }
    /* The rounds did what they are for. */
    assert_true(rounds < ROUNDS || (level >= 2 && divided));
}

/* RUN-4: no power failure takes back what was used. */
static void
survives_crashes(void **state)
{
    (void)state;
    uint64_t first = setting("TAEL_INDEX_SEED", 1);
    uint64_t rounds = setting("TAEL_INDEX_ROUNDS", ROUNDS);
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct t_world *t = world_create(seed, 1 + (uint32_t)(seed % 5) * 10);
        for (uint32_t crashes = 0; crashes < 12; crashes++) {
            uint64_t now = os_sim_disk_operations(t->sim_disk);
            os_sim_disk_stop_at(t->sim_disk, now + 1 + os_prng_below(&t->prng, 400));
            bool opened = index_open(t) == ERR_OK;
            uint32_t frames = FRAMES / 12 * (crashes + 1);
            while (opened && t->frame_count < frames && frame_add(t)) {
            }
            const journal_position_t used = opened ? journal_index_covered(&t->index) : 0;
            index_close(t);
            if (os_prng_chance(&t->prng, 1, 4) && !os_sim_disk_is_stopped(t->sim_disk)) {
                os_sim_disk_kill(t->sim_disk);
            } else {
                os_sim_disk_crash(t->sim_disk);
            }
            os_sim_disk_stop_at(t->sim_disk, 0);
            assert_int_equal(index_open(t), ERR_OK);
            assert_true(journal_index_covered(&t->index) >= used);
            assert_int_equal(compare_all(t), ERR_OK);
            index_close(t);
        }
        world_destroy(t);
    }
}

/* Writing runs fails for a while, in every way; nothing that was told is forgotten, and when it
 * works again so does the index. */
static void
survives_failed_writes(void **state)
{
    (void)state;

    static const enum os_sim_operation operations[] = {
        OS_SIM_OPEN, OS_SIM_WRITE, OS_SIM_SYNC, OS_SIM_RENAME, OS_SIM_REMOVE, OS_SIM_SYNC_FOLDER};

    uint64_t first = setting("TAEL_INDEX_SEED", 1);
    uint64_t rounds = setting("TAEL_INDEX_ROUNDS", ROUNDS);
    uint32_t refused = 0;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct t_world *t = world_create(seed, 1 + (uint32_t)(seed % 5) * 10);
        assert_int_equal(index_open(t), ERR_OK);
        while (t->frame_count < FRAMES) {
            if (os_prng_chance(&t->prng, 1, 5)) {
                os_sim_disk_clear_rules(t->sim_disk);
            } else if (os_prng_chance(&t->prng, 1, 5)) {
                struct os_sim_rule rule = {
                    .operation = operations[os_prng_below(&t->prng, 6)],
                    .effect = OS_SIM_FAIL,
                    .path_part = "/index",
                    .times = os_prng_below(&t->prng, 4),
                    .code = os_prng_chance(&t->prng, 1, 2) ? ERR_DISK_FULL : ERR_IO,
                };
                os_sim_disk_clear_rules(t->sim_disk);
                os_sim_disk_add_rule(t->sim_disk, &rule);
            }
            if (!frame_add(t)) {
                refused++;
            }
            if (os_prng_chance(&t->prng, 1, 20)) {
                assert_int_equal(compare_all(t), ERR_OK);
            }
        }
        os_sim_disk_clear_rules(t->sim_disk);
        assert_int_equal(compare_all(t), ERR_OK);
        restart(t);
        world_destroy(t);
    }
    assert_true(rounds < ROUNDS || refused > 0);
}

/* The names of the index's files. */
struct t_names {
    char names[512][32];
    uint32_t count;
};

static void
note_name(void *context, const char *name)
{
    struct t_names *names = context;
    assert_true(names->count < 512 && strlen(name) < 32);
    memcpy(names->names[names->count++], name, strlen(name) + 1);
}

/* One bit of one file. */
static void
flip_one(struct t_world *t)
{
    static struct t_names names;
    char path[64];
    struct os_file *file = NULL;
    uint64_t size = 0;
    names.count = 0;
    assert_int_equal(t->disk->ops->list(t->disk, FOLDER "/index", note_name, &names), ERR_OK);
    assert_true(names.count > 0);
    (void)snprintf(
        path, sizeof(path), FOLDER "/index/%s", names.names[os_prng_below(&t->prng, names.count)]);
    assert_int_equal(t->disk->ops->open(t->disk, path, OS_OPEN_READ, false, &file, NULL), ERR_OK);
    assert_int_equal(t->disk->ops->size(t->disk, file, &size), ERR_OK);
    t->disk->ops->close(t->disk, file);
    assert_int_equal(
        os_sim_disk_flip(
            t->sim_disk, path, os_prng_below(&t->prng, size), (unsigned)os_prng_below(&t->prng, 8)),
        ERR_OK);
}

/* RUN-1, RUN-4: a flipped bit is never believed: it is found at the start, or when it is read, and
 * then the index is made again. */
static void
finds_damage(void **state)
{
    (void)state;
    uint64_t first = setting("TAEL_INDEX_SEED", 1);
    uint64_t rounds = setting("TAEL_INDEX_ROUNDS", ROUNDS);
    uint32_t discarded = 0;
    uint32_t found = 0;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct t_world *t = world_create(seed, 1 + (uint32_t)(seed % 5) * 10);
        assert_int_equal(index_open(t), ERR_OK);
        while (t->frame_count < FRAMES / 2) {
            assert_true(frame_add(t));
        }
        for (uint32_t i = 0; i < 6; i++) {
            restart(t);
            index_close(t);
            os_sim_disk_crash(t->sim_disk); /* all that is there is durable */
            flip_one(t);
            journal_index_init(&t->index, t->disk, FOLDER, t->table_entries);
            assert_int_equal(journal_index_open(&t->index, FOLDER), ERR_OK);
            discarded += journal_index_covered(&t->index) == 0;
            journal_index_release(&t->index);
            t->open = false;
            assert_int_equal(index_open(t), ERR_OK);
            err_t code = compare_all(t);
            if (code != ERR_OK) {
                assert_int_equal(code, ERR_CORRUPT);
                found++;
                journal_index_condemn(&t->index);
                index_close(t);
                assert_int_equal(index_open(t), ERR_OK);
                assert_int_equal(compare_all(t), ERR_OK);
            }
        }
        world_destroy(t);
    }
    assert_true(rounds < ROUNDS || (discarded > 0 && found > 0));
}

/* Writes that went astray while success was told. */
static void
finds_lost_writes(void **state)
{
    (void)state;
    uint64_t first = setting("TAEL_INDEX_SEED", 1);
    uint64_t rounds = setting("TAEL_INDEX_ROUNDS", ROUNDS);
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        struct t_world *t = world_create(seed, 1 + (uint32_t)(seed % 5) * 10);
        assert_int_equal(index_open(t), ERR_OK);
        while (t->frame_count < FRAMES / 2) {
            struct os_sim_rule rule = {
                .operation = OS_SIM_WRITE,
                .effect = os_prng_chance(&t->prng, 1, 2) ? OS_SIM_LOSE : OS_SIM_MISDIRECT,
                .path_part = "/index",
                .times = 1,
                .shift = JOURNAL_RUN_BLOCK,
            };
            os_sim_disk_clear_rules(t->sim_disk);
            if (os_prng_chance(&t->prng, 1, 10)) {
                os_sim_disk_add_rule(t->sim_disk, &rule);
            }
            if (!frame_add(t)) {
                break; /* a merge met the damage */
            }
        }
        os_sim_disk_clear_rules(t->sim_disk);
        index_close(t);
        assert_int_equal(index_open(t), ERR_OK);
        if (compare_all(t) != ERR_OK) {
            journal_index_condemn(&t->index);
            restart(t);
        }
        world_destroy(t);
    }
}

/* Runs of a journal that went back, or of another one, are not used. */
static void
refuses_an_older_journal(void **state)
{
    (void)state;
    struct t_world *t = world_create(1, 8);
    assert_int_equal(index_open(t), ERR_OK);
    while (t->frame_count < 40) {
        assert_true(frame_add(t));
    }
    assert_true(journal_index_covered(&t->index) > frame_position(30));
    index_close(t);
    /* The last frames are not there: the journal is a copy from before. */
    struct os_file *file = NULL;
    memset(t->block, 0, JOURNAL_BLOCK);
    assert_int_equal(t->disk->ops->open(t->disk, SEGMENT, OS_OPEN_WRITE, false, &file, NULL), 0);
    for (; t->frame_count > 30; t->frame_count--) {
        uint64_t offset = journal_position_offset(frame_position(t->frame_count - 1));
        assert_int_equal(
            t->disk->ops->write(t->disk, file, t->block, JOURNAL_BLOCK, offset), ERR_OK);
    }
    t->disk->ops->close(t->disk, file);
    frame_forget(t);
    journal_index_init(&t->index, t->disk, FOLDER, t->table_entries);
    assert_int_equal(journal_index_open(&t->index, FOLDER), ERR_OK);
    assert_int_equal(journal_index_covered(&t->index), 0);
    journal_index_release(&t->index);
    restart(t);
    /* And with other frames in their place it goes on. */
    while (t->frame_count < 60) {
        assert_true(frame_add(t));
    }
    restart(t);
    world_destroy(t);
}

/* A manifest of the version before this one, sound otherwise. */
static void
manifest_of_before(struct t_world *t)
{
    char *content = NULL;
    size_t size = 0;
    assert_int_equal(
        os_file_load(t->disk, FOLDER "/index/manifest", 1 << 20, &content, &size), ERR_OK);
    struct journal_manifest_header header;
    memcpy(&header, content, sizeof(header));
    assert_int_equal(header.version, JOURNAL_RUN_VERSION);
    header.version--;
    memcpy(content, &header, sizeof(header));
    XXH128_hash_t sum = XXH3_128bits(content + sizeof(u128), size - sizeof(u128));
    header.checksum = u128_make(sum.high64, sum.low64);
    memcpy(content, &header, sizeof(header));
    struct span saved = {.data = content, .size = size};
    assert_int_equal(os_file_save(t->disk, FOLDER "/index", "manifest", saved), ERR_OK);
    free(content);
}

static struct t_world *
world_with_runs(uint64_t seed)
{
    struct t_world *t = world_create(seed, 8);
    assert_int_equal(index_open(t), ERR_OK);
    while (t->frame_count < 40) {
        assert_true(frame_add(t));
    }
    assert_true(journal_index_covered(&t->index) > 0);
    index_close(t);
    return t;
}

/* Runs of another version are made again, from the journal. */
static void
makes_those_of_another_version_again(void **state)
{
    (void)state;
    struct t_world *t = world_with_runs(1);
    manifest_of_before(t);
    journal_index_init(&t->index, t->disk, FOLDER, t->table_entries);
    assert_int_equal(journal_index_open(&t->index, FOLDER), ERR_OK);
    assert_int_equal(journal_index_covered(&t->index), 0);
    journal_index_release(&t->index);
    restart(t);
    assert_true(journal_index_covered(&t->index) > 0);
    world_destroy(t);
}

/* Could the one stand in the other's place, for all that its header says? */
static bool
are_alike(const char *run, const char *other)
{
    struct journal_run_header a;
    struct journal_run_header b;
    memcpy(&a, run, sizeof(a));
    memcpy(&b, other, sizeof(b));
    return a.checksum != b.checksum && a.count == b.count && a.level == b.level &&
           a.bits == b.bits && a.piece == b.piece && a.filter_words == b.filter_words;
}

/* Puts a sound run of the other world into the place of one with its number; false if there is none
 * that is like it. */
static bool
run_exchange(struct t_world *t, struct t_world *other)
{
    static struct t_names names;
    bool done = false;
    names.count = 0;
    assert_int_equal(t->disk->ops->list(t->disk, FOLDER "/index", note_name, &names), ERR_OK);
    for (uint32_t i = 0; i < names.count && !done; i++) {
        char path[64];
        char *own = NULL;
        struct span others = SPAN_EMPTY;
        char *content = NULL;
        size_t size = 0;
        (void)snprintf(path, sizeof(path), FOLDER "/index/%s", names.names[i]);
        if (strstr(path, ".run") == NULL ||
            os_file_load(other->disk, path, SEGMENT_SIZE, &content, &others.size) != ERR_OK) {
            continue;
        }
        others.data = content;
        assert_int_equal(os_file_load(t->disk, path, SEGMENT_SIZE, &own, &size), ERR_OK);
        done = are_alike(own, content);
        if (done) {
            assert_int_equal(
                os_file_save(t->disk, FOLDER "/index", names.names[i], others), ERR_OK);
        }
        free(own);
        free(content);
    }
    return done;
}

/* INDEX-3, RUN-3: all runs are made again if one of them is not the one that the manifest names. */
static void
makes_all_again_if_one_is_anothers(void **state)
{
    (void)state;
    uint32_t exchanged = 0;
    for (uint64_t seed = 1; seed < 40 && exchanged == 0; seed += 4) { /* odd: without threads */
        struct t_world *t = world_with_runs(seed);
        struct t_world *other = world_with_runs(seed + 2);
        if (run_exchange(t, other)) {
            exchanged++;
            journal_index_init(&t->index, t->disk, FOLDER, t->table_entries);
            assert_int_equal(journal_index_open(&t->index, FOLDER), ERR_OK);
            assert_int_equal(journal_index_covered(&t->index), 0);
            journal_index_release(&t->index);
            restart(t);
        }
        world_destroy(other);
        world_destroy(t);
    }
    assert_int_equal(exchanged, 1);
}

static void
frame_open(struct t_world *t, uint32_t number, uint32_t count)
{
    const uint64_t position = frame_position(number);
    assert_int_equal(journal_index_frame(&t->index, position), ERR_OK);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t place = position + sizeof(struct journal_frame_header) + UINT64_C(16) * i;
        assert_int_equal(op_draw(t, place), ERR_OK);
    }
}

static void
frame_durable(struct t_world *t)
{
    struct journal_frame_header header;
    assert_int_equal(frame_write(t, &header), ERR_OK);
    journal_index_durable(&t->index, frame_position(t->frame_count), &header);
    t->frames[t->frame_count++] = header;
}

/* INDEX-1: runs that no manifest on the disk names are not gone by. */
static void
waits_for_the_manifest(void **state)
{
    (void)state;
    struct t_world *t = world_with_runs(1);
    const struct os_sim_rule rule = {
        .operation = OS_SIM_RENAME,
        .effect = OS_SIM_FAIL,
        .path_part = "/index",
        .code = ERR_IO,
    };
    assert_int_equal(index_open(t), ERR_OK);
    const journal_position_t before = journal_index_covered(&t->index);
    os_sim_disk_add_rule(t->sim_disk, &rule);
    for (uint32_t frames = 0; frame_add(t); frames++) {
        assert_true(frames <= JOURNAL_INDEX_TABLES);
    }
    assert_int_equal(journal_index_covered(&t->index), before);
    index_close(t);
    os_sim_disk_crash(t->sim_disk);
    os_sim_disk_clear_rules(t->sim_disk);
    restart(t);
    assert_true(journal_index_covered(&t->index) >= before);
    world_destroy(t);
}

/* INDEX-2: of frames that are on their way a table waits for the last one that it has. */
static void
waits_for_the_last_frame(void **state)
{
    (void)state;
    struct t_world *t = world_create(1, 8);
    assert_int_equal(index_open(t), ERR_OK);
    frame_open(t, 0, 1);
    frame_open(t, 1, FRAME_OPS); /* the table is full */
    frame_open(t, 2, 1);
    frame_durable(t);
    assert_int_equal(journal_index_covered(&t->index), 0);
    frame_durable(t);
    frame_durable(t);
    frame_open(t, 3, FRAME_OPS);
    assert_true(journal_index_covered(&t->index) >= frame_position(2));
    frame_durable(t);
    restart(t);
    world_destroy(t);
}

/* INDEX-4: what waits is bounded, and the refusal says why. */
static void
refuses_when_it_lags(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct t_world *t = world_create(seed, 1);
        assert_int_equal(index_open(t), ERR_OK);
        struct os_sim_rule rule = {
            .operation = OS_SIM_WRITE,
            .effect = OS_SIM_FAIL,
            .path_part = "/index",
            .code = ERR_DISK_FULL,
        };
        os_sim_disk_add_rule(t->sim_disk, &rule);
        uint32_t frames = 0;
        while (frame_add(t)) {
            frames++;
            assert_true(frames <= JOURNAL_INDEX_TABLES);
            while (t->sim != NULL && os_sim_step(t->sim)) {
            }
        }
        assert_int_equal(frames, JOURNAL_INDEX_TABLES);
        assert_int_equal(journal_index_admit(&t->index), ERR_DISK_FULL);
        assert_int_equal(compare_all(t), ERR_OK);
        os_sim_disk_clear_rules(t->sim_disk);
        /* The first that asks makes it try again. */
        for (uint32_t i = 0; journal_index_admit(&t->index) != ERR_OK; i++) {
            assert_true(i < 2);
            while (t->sim != NULL && os_sim_step(t->sim)) {
            }
        }
        assert_true(frame_add(t));
        assert_int_equal(compare_all(t), ERR_OK);
        restart(t);
        world_destroy(t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_model),
        cmocka_unit_test(survives_crashes),
        cmocka_unit_test(survives_failed_writes),
        cmocka_unit_test(finds_damage),
        cmocka_unit_test(finds_lost_writes),
        cmocka_unit_test(refuses_an_older_journal),
        cmocka_unit_test(makes_those_of_another_version_again),
        cmocka_unit_test(makes_all_again_if_one_is_anothers),
        cmocka_unit_test(waits_for_the_manifest),
        cmocka_unit_test(waits_for_the_last_frame),
        cmocka_unit_test(refuses_when_it_lags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
