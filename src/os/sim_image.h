/*
 * The bytes of one simulated file: chunks that exist where something was written; the rest reads
 * as zeros.
 */
#ifndef OS_SIM_IMAGE_H
#define OS_SIM_IMAGE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#define OS_SIM_CHUNK_SIZE ((uint64_t)256 * 1024)

struct os_sim_image {
    char **chunks; /* NULL: zeros */
    size_t chunk_count;
    uint64_t size; /* bytes behind it are zeros in every chunk */
};

void os_sim_image_release(struct os_sim_image *image);
/* The range lies within the size. */
void os_sim_image_read(const struct os_sim_image *image, void *out, size_t size, uint64_t offset);
/* Grows the size where needed. After ERR_MEMORY a part may be written. */
MUST_USE err_t
os_sim_image_write(struct os_sim_image *image, const void *data, size_t size, uint64_t offset);
void os_sim_image_resize(struct os_sim_image *image, uint64_t size);
/* `to` is released first. */
MUST_USE err_t os_sim_image_copy(struct os_sim_image *to, const struct os_sim_image *from);
void os_sim_image_flip(struct os_sim_image *image, uint64_t offset, unsigned bit);

#endif
