# Sourced by scripts/test and scripts/demo: how Open MPI runs here. The same settings for programs that
# tests start themselves are in process.cc.
#
# Root in a container is allowed; more ranks than cores are, too, and then no rank is bound to a core and
# waiting ranks yield. Shared-memory messages are copied twice instead of read across processes, since a
# container's seccomp profile may forbid the latter.
#
# odls_base_sigkill_timeout stays at 1 s: mpirun waits for it in full, twice, whenever it ends a job in which
# a rank failed. The test that interrupts mpirun sets its own.
export OMPI_ALLOW_RUN_AS_ROOT=1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
