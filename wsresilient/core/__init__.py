"""The pure core: decisions without threads, sockets, sleeps or clocks; time is an argument."""
