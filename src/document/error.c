#include "sqlite.h"

/* What SQLite's result codes (sqlite.org/rescode.html) mean to us. */
err_t
document_sqlite_error(int code)
{
    if (code == SQLITE_CONSTRAINT_PRIMARYKEY) {
        return ERR_EXISTS;
    }
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return ERR_OK;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_LOCKED;
    case SQLITE_FULL:
        return ERR_DISK_FULL;
    case SQLITE_NOMEM:
        return ERR_MEMORY;
    case SQLITE_TOOBIG:
        return ERR_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return ERR_IO;
    default:
        return ERR_DATABASE;
    }
}
