"""Science on datasets: nothing here knows a store, a file or a process."""
