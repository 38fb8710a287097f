/*
 * A disk that counts what it is asked and how long its syncs take: the journal's, so that a slow
 * device shows as what it is.
 */
#ifndef TAEL_MEASURED_DISK_H
#define TAEL_MEASURED_DISK_H

#include "base/buf.h"
#include "os/file.h"

/* In the owner's memory; the members are private. */
struct measured_disk {
    struct os_disk disk; /* first */
    struct os_disk *inner;
};

/* Returns `inner`, measured: as thread-safe as that, and to be kept as long as files are open. */
struct os_disk *measured_disk_init(struct measured_disk *measured, struct os_disk *inner);
/* Appends Prometheus text, of all measured disks together. Any thread. */
void measured_disk_metrics_render(struct buf *out);

#endif
