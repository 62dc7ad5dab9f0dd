"""All threads, locks and sockets. Decisions are taken in :mod:`wsresilient.core`."""
