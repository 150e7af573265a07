// Ranks as processes over Gloo: this program starts itself once per rank with the hidden case "[.rank]".
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/error.h"
#include "comm/communicator.h"
#include "comm/rendezvous.h"
#include "tests/process/rank_training.h"
#include "tests/support/catch.h"

using namespace valbench;
using namespace valbench::test;
namespace fs = std::filesystem;

namespace {

/// A folder that goes away with the test case.
struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "valbench-ranks-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error("cannot make a temporary folder " + name);
    path = name;
  }
  ~TemporaryFolder() { fs::remove_all(path); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  fs::path path;
};

/// A listening socket on a free port, as the controller hands one down.
struct Listener {
  Listener() : fd(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* name = reinterpret_cast<sockaddr*>(&address);
    if (bind(fd, name, size) != 0 || listen(fd, 64) != 0 || getsockname(fd, name, &size) != 0) throw Error("cannot listen on loopback");
    port = ntohs(address.sin_port);
  }
  ~Listener() { close(fd); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  int fd, port = 0;
};

pid_t start_rank(int rank, int ranks, const Listener& listener, const std::string& job, const fs::path& folder) {
  std::vector<std::string> environment = {"RANK=" + std::to_string(rank), "WORLD_SIZE=" + std::to_string(ranks),
                                          "MASTER_ADDR=127.0.0.1", "MASTER_PORT=" + std::to_string(listener.port),
                                          "OMP_NUM_THREADS=1", "RANK_TEST_JOB=" + job, "RANK_TEST_FOLDER=" + folder.string()};
  if (rank == 0) environment.push_back("VALBENCH_LISTEN_FD=" + std::to_string(listener.fd));
  // Nothing else of the parent's: no counts file, no launcher's rank.
  std::vector<char*> pointers;
  for (std::string& variable : environment) pointers.push_back(variable.data());
  pointers.push_back(nullptr);
  std::string program = "/proc/self/exe", filter = "[.rank]";
  char* arguments[] = {program.data(), filter.data(), nullptr};
  const std::string log = (folder / ("rank" + std::to_string(rank) + ".log")).string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, pointers.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw Error(std::string("cannot start a rank: ") + std::strerror(error));
  return pid;
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Runs `job` on every rank and fails the test case with the logs of the ranks that fail.
void run_ranks(int ranks, const std::string& job, const fs::path& folder) {
  const Listener listener;
  std::vector<pid_t> pids;
  for (int rank = 0; rank < ranks; ++rank) pids.push_back(start_rank(rank, ranks, listener, job, folder));
  for (int rank = 0; rank < ranks; ++rank) {
    int status = -1;
    waitpid(pids[static_cast<std::size_t>(rank)], &status, 0);
    INFO(job << ", rank " << rank << " of " << ranks << ":\n" << text_of(folder / ("rank" + std::to_string(rank) + ".log")));
    CHECK(status == 0);
  }
}

void save(const at::Tensor& tensor, const fs::path& file) {
  std::ofstream out(file, std::ios::binary);
  out.write(static_cast<const char*>(tensor.const_data_ptr()), static_cast<std::streamsize>(tensor.nbytes()));
}

at::Tensor load(const fs::path& file) {
  const std::string bytes = text_of(file);
  at::Tensor tensor = at::empty({static_cast<std::int64_t>(bytes.size() / sizeof(float))}, at::kFloat);
  std::memcpy(tensor.data_ptr(), bytes.data(), tensor.nbytes());
  return tensor;
}

fs::path part_of(const fs::path& folder, const std::string& job, const char* part, int rank) {
  return folder / (job + "-" + part + std::to_string(rank));
}

double relative_l2(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  return ((actual.to(at::kDouble) - wide).norm() / wide.norm()).item<double>();
}

void check_collectives(Communicator& communicator) {
  const int rank = communicator.rank(), ranks = communicator.world_size();
  at::Tensor tensor = at::full({1000}, rank + 1.0);
  communicator.set_epoch(7);
  communicator.all_reduce_sum(tensor)->wait();
  CHECK(tensor.eq(ranks * (ranks + 1) / 2.0).all().item<bool>());
  at::Tensor last = at::full({3}, static_cast<double>(rank));
  communicator.broadcast(last, ranks - 1);
  CHECK(last.eq(ranks - 1.0).all().item<bool>());
  communicator.barrier();

  // Another size on every rank: nothing from rank 1, megabytes from the last.
  const std::size_t size = rank == 1 ? 0 : static_cast<std::size_t>(rank + 1) << 20;
  const std::vector<std::byte> mine(size, static_cast<std::byte>(rank + 1));
  const auto all = communicator.gather_bytes(mine, 0);
  REQUIRE(all.size() == (rank == 0 ? static_cast<std::size_t>(ranks) : 0));
  for (std::size_t r = 0; r < all.size(); ++r) {
    CHECK((all[r] == std::vector<std::byte>(r == 1 ? 0 : (r + 1) << 20, static_cast<std::byte>(r + 1))));
  }
  CHECK(communicator.gather_bytes({}, ranks - 1).size() == (rank == ranks - 1 ? static_cast<std::size_t>(ranks) : 0));
  const auto sent = communicator.broadcast_bytes(rank == 0 ? std::span<const std::byte>(mine) : std::span<const std::byte>(), 0);
  CHECK((sent == std::vector<std::byte>(1 << 20, std::byte{1})));
  CHECK(communicator.broadcast_bytes({}, 0).empty());

  const auto events = communicator.take_events();
  REQUIRE(events.size() == 1);  // Only the gradient collective.
  CHECK(events[0].bytes == 4000);
  CHECK(events[0].epoch == 7);
  CHECK(events[0].begin_ns > 0);
  CHECK(events[0].end_ns >= events[0].begin_ns);
  CHECK(communicator.take_events().empty());
}

/// Every second rank, in reverse order: places in the group are not ranks of the world.
void check_groups(Communicator& world) {
  const int rank = world.rank(), ranks = world.world_size();
  std::vector<int> members;
  for (int r = ranks - 1; r >= 0; r -= 2) members.insert(members.begin(), r);
  std::reverse(members.begin(), members.end());
  const auto place = std::find(members.begin(), members.end(), rank);
  if (place != members.end()) {
    Communicator& group = world.make_group("alternate", members);
    CHECK(group.rank() == place - members.begin());
    CHECK(group.world_size() == static_cast<int>(members.size()));
    at::Tensor sum = at::full({5}, rank + 1.0);
    group.all_reduce_sum(sum)->wait();
    const double expected = group.world_size() == 1 ? rank + 1.0 : std::accumulate(members.begin(), members.end(), 0.0) + 2;
    CHECK(sum.eq(expected).all().item<bool>());
    const std::vector<std::byte> mine(3, static_cast<std::byte>(rank));
    const auto all = group.gather_bytes(mine, group.world_size() - 1);
    REQUIRE(all.size() == (place + 1 == members.end() ? members.size() : 0));
    for (std::size_t m = 0; m < all.size(); ++m) CHECK((all[m] == std::vector<std::byte>(3, static_cast<std::byte>(members[m]))));
    CHECK(group.make_group("alone", {group.rank()}).world_size() == 1);
  } else {
    CHECK_THROWS_AS(world.make_group("alternate", members), Error);
  }
}

/// The last rank answers rank 0 through the store; nobody else takes part.
void check_store(Communicator& world) {
  const std::unique_ptr<KeyStore> store = world.open_store();
  const std::string question = std::string("1\0binary", 8);
  if (world.rank() == world.world_size() - 1) {
    CHECK(store->wait_for("question") == question);
    CHECK(store->look_up("question") == question);
    store->set("answer", "");
  }
  if (world.rank() == 0) {
    CHECK_FALSE(store->look_up("answer").has_value());
    store->set("question", question);
    CHECK(store->wait_for("answer").empty());
    CHECK(store->look_up("answer").has_value());
  }
}

TrainedState train(const std::string& job, const Rendezvous& rendezvous) {
  if (job == "ddp_reducer") return train_with_ddp_reducer(rendezvous);
  const auto communicator = make_c10d_communicator(rendezvous, at::kCPU);
  return train_ranks(*communicator, job == "micro_batch");
}

/// Holds the relative L2 deviation against a tolerance: 1e-5 against one process, 1e-6 between the ways to average. The change of
/// parameters is 250 times smaller than they are, so their float32 rounding alone is 1e-5 of it: 1e-4.
void compare(const std::string& what, const at::Tensor& actual, const at::Tensor& expected, double tolerance) {
  const double deviation = relative_l2(actual, expected);
  std::printf("%s: relative L2 deviation %.3g, tolerance %.3g\n", what.c_str(), deviation, tolerance);
  INFO(what);
  CHECK(deviation <= tolerance);
}

void check_training(int ranks) {
  const TemporaryFolder folder;
  for (const std::string job : {"micro_batch", "step", "ddp_reducer"}) {
    run_ranks(ranks, job, folder.path);
    const std::string first = text_of(part_of(folder.path, job, "parameters", 0));
    REQUIRE_FALSE(first.empty());
    for (int rank = 1; rank < ranks; ++rank) {
      INFO(job << ": rank " << rank);
      CHECK((text_of(part_of(folder.path, job, "parameters", rank)) == first));
    }
  }
  at::set_num_threads(1);
  const TrainedState alone = train_alone(ranks);
  const std::string title = std::to_string(ranks) + " ranks, ";
  const at::Tensor moved = alone.parameters - alone.initial;
  const auto parameters = [&](const char* job) { return load(part_of(folder.path, job, "parameters", 0)); };
  for (const char* job : {"micro_batch", "step", "ddp_reducer"}) {
    compare(title + job + " against one process, parameters", parameters(job), alone.parameters, 1e-5);
    compare(title + job + " against one process, change of parameters", parameters(job) - alone.initial, moved, 1e-4);
    compare(title + job + " against one process, rank 0's running statistics", load(part_of(folder.path, job, "buffers", 0)),
            alone.buffers, 1e-5);
  }
  compare(title + "step against micro_batch", parameters("step"), parameters("micro_batch"), 1e-6);
  compare(title + "micro_batch against c10d::Reducer", parameters("micro_batch"), parameters("ddp_reducer"), 1e-6);
}

}  // namespace

TEST_CASE("one rank's part of a job", "[.rank]") {
  const char* job = std::getenv("RANK_TEST_JOB");
  REQUIRE(job != nullptr);
  const Rendezvous rendezvous = rendezvous_from_environment();
  if (std::string(job) == "collectives") {
    const auto communicator = make_c10d_communicator(rendezvous, at::kCPU);
    check_collectives(*communicator);
    check_groups(*communicator);
    check_store(*communicator);
    communicator->barrier();
    return;
  }
  const fs::path folder = std::getenv("RANK_TEST_FOLDER");
  const TrainedState state = train(job, rendezvous);
  save(state.parameters, part_of(folder, job, "parameters", rendezvous.rank));
  save(state.buffers, part_of(folder, job, "buffers", rendezvous.rank));
}

TEST_CASE("collectives, groups of some ranks and the store agree on two, three and four ranks") {
  const TemporaryFolder folder;
  for (const int ranks : {2, 3, 4}) run_ranks(ranks, "collectives", folder.path);
}

TEST_CASE("two ranks train as one process that runs their sub-batches in turn") { check_training(2); }

TEST_CASE("four ranks train as one process that runs their sub-batches in turn") { check_training(4); }
