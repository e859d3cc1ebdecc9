#include "mpi/call.h"

namespace cgfac::mpi {
namespace {

const char* name_of(Collective collective) {
  switch (collective) {
    case Collective::allreduce:
      return "allreduce";
    case Collective::alltoallv:
      return "alltoallv";
    case Collective::allgatherv:
      return "allgatherv";
    case Collective::bcast:
      return "bcast";
    case Collective::barrier:
      return "barrier";
    case Collective::finalize:
      return "finalize";
  }
  return "something unknown";
}

std::string detail_of(const Call& call) {
  if (call.collective == Collective::bcast) return " from root " + std::to_string(call.detail);
  if (call.collective != Collective::allreduce) return "";
  switch (static_cast<Reduction>(call.detail)) {
    case Reduction::sum:
      return " ('sum')";
    case Reduction::min:
      return " ('min')";
    case Reduction::max:
      return " ('max')";
  }
  return "";
}

}  // namespace

std::string told(const Call& call) {
  std::string text = name_of(call.collective);
  if (call.count) text += " of " + std::to_string(*call.count) + " numbers";
  if (call.collective < Collective::barrier) text += std::string(call.count ? " in a " : " of a ") + name_of(call.type);
  return text + detail_of(call);
}

}  // namespace cgfac::mpi
