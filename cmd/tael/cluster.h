/* Processes of one deployment on one machine, for `tael local-cluster`. */
#ifndef TAEL_CLUSTER_H
#define TAEL_CLUSTER_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define CLUSTER_WORDS_MAX 256
#define CLUSTER_WORD_SIZE 1024
#define CLUSTER_URL_SIZE  96

struct cluster_process {
    const char *name;
    pid_t pid;                        /* 0: does not run */
    FILE *out;                        /* what it prints */
    char internal[CLUSTER_URL_SIZE];  /* ADDRESS:PORT; empty until it said so */
    char operators[CLUSTER_URL_SIZE]; /* the same */
    char listening[CLUSTER_URL_SIZE]; /* "http://ADDRESS:PORT" of the API */
};

/* Starts this program with these words, which end with NULL. It is told to end when we die. Signals
 * that are blocked here are not blocked there. ERR_IO. */
MUST_USE err_t cluster_process_start(struct cluster_process *process, char *const *argv);

/* Reads what it prints until it has told its addresses, and prints it if `show`. False: it ended
 * before. */
bool cluster_process_read(struct cluster_process *process, bool show);

/* Asks it to end, and waits; after `seconds` it is killed. Whether it ended well. Nothing if it
 * does not run. */
bool cluster_process_stop(struct cluster_process *process, unsigned seconds);

/* How it ended, for people. */
#define CLUSTER_END_SIZE 64
void cluster_end_describe(int status, char out[CLUSTER_END_SIZE]);

#endif
