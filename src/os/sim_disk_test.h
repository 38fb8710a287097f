/* A simulated disk with faults, for its tests: a file of T_SECTORS sectors, seen by its fills. */
#ifndef OS_SIM_DISK_TEST_H
#define OS_SIM_DISK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/sim_disk.h"

#include <string.h>

#define T_SECTORS 16
#define T_SIZE    (T_SECTORS * OS_SIM_SECTOR_SIZE)

static inline struct os_sim_disk *
t_disk(uint64_t seed)
{
    struct os_sim_disk *sim = NULL;
    struct os_sim_disk_settings settings = {.seed = seed, .faults = true};
    assert_int_equal(os_sim_disk_create(&settings, &sim), ERR_OK);
    return sim;
}

static inline struct os_file *
t_open(struct os_sim_disk *sim, const char *path, enum os_open_mode mode)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *file = NULL;
    assert_int_equal(disk->ops->open(disk, path, mode, false, &file, NULL), ERR_OK);
    return file;
}

static inline void
t_close(struct os_sim_disk *sim, struct os_file *file)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    disk->ops->close(disk, file);
}

static inline err_t
t_write(struct os_sim_disk *sim, struct os_file *file, char fill, size_t size, uint64_t offset)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    static char data[2 * T_SIZE];
    assert_true(size <= sizeof(data));
    memset(data, fill, size);
    return disk->ops->write(disk, file, data, size, offset);
}

static inline err_t
t_sync(struct os_sim_disk *sim, struct os_file *file)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    return disk->ops->sync(disk, file);
}

static inline uint64_t
t_size(struct os_sim_disk *sim, struct os_file *file)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    uint64_t size = 0;
    assert_int_equal(disk->ops->size(disk, file, &size), ERR_OK);
    return size;
}

static inline void
t_read(struct os_sim_disk *sim, struct os_file *file, char *out, size_t size)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    assert_int_equal(disk->ops->read(disk, file, out, size, 0), ERR_OK);
}

static inline bool
t_exists(struct os_sim_disk *sim, const char *path)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *file = NULL;
    err_t result = disk->ops->open(disk, path, OS_OPEN_READ, false, &file, NULL);
    if (result == ERR_OK) {
        disk->ops->close(disk, file);
    }
    return result == ERR_OK;
}

/* A durable file with T_SIZE bytes of 'a'. */
static inline struct os_file *
t_durable_file(struct os_sim_disk *sim, const char *path)
{
    struct os_disk *disk = os_sim_disk_ops(sim);
    struct os_file *file = t_open(sim, path, OS_OPEN_CREATE);
    assert_int_equal(t_write(sim, file, 'a', T_SIZE, 0), ERR_OK);
    assert_int_equal(t_sync(sim, file), ERR_OK);
    assert_int_equal(disk->ops->sync_folder(disk, "."), ERR_OK);
    assert_int_equal(os_sim_disk_unsynced(sim), 0);
    return file;
}

/* The fill of each sector, as text; '?' for a mixed one. */
static inline void
t_fills(struct os_sim_disk *sim, const char *path, char *ret_fills)
{
    char data[T_SIZE];
    struct os_file *file = t_open(sim, path, OS_OPEN_READ);
    t_read(sim, file, data, sizeof(data));
    t_close(sim, file);
    for (size_t i = 0; i < T_SECTORS; i++) {
        const char *sector = data + i * OS_SIM_SECTOR_SIZE;
        ret_fills[i] = sector[0];
        for (size_t k = 1; k < OS_SIM_SECTOR_SIZE; k++) {
            if (sector[k] != sector[0]) {
                ret_fills[i] = '?';
            }
        }
    }
    ret_fills[T_SECTORS] = '\0';
}

#endif
