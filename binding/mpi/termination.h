#pragma once

namespace cgfac::mpi {

/// Has this process say which rank it is where SIGTERM ends it, which it then does as before: launchers of the MPICH
/// family name the process alone. A program that does something else upon SIGTERM, now or later, is left to it.
void tell_of_termination(int rank, int size);

/// Ends that, where nobody else has taken the signal.
void forget_termination();

}  // namespace cgfac::mpi
