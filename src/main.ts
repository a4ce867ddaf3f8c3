/** The executable: the process's arguments go in, its exit code comes out. */
