// The traps of distributed validation, each under every strategy on 1 to 4 ranks: the merged result must be what rank 0 alone gets, bit for
// bit. Here the ranks are threads, so that their order is the test's. All traps and where each is set:
//
//   N not divisible by the ranks, unequal batch counts for the mean loss   here, strategies_tests (process)
//   more ranks than batches                                                here, strategies_tests
//   images without labels, without detections; no labels at all            here; without labels also strategies_tests
//   a class that one rank alone sees                                       here
//   tied scores                                                            here
//   one rank with all the large images                                     here
//   permuted rank order, one slow rank                                     here; slow also fault_tests (process)
//   ids above 2^24, an image that two ranks scored                         here, partial_score_tests
//   a padded share that counts images twice                                shard_tests, strategies_tests
//   a stop while a result is pending, results out of order                 late_results_tests
//   an interval that does not divide the epochs                            strategies_tests, partial_score_tests
//   a validator that is busy, skips and answers late                       dedicated_tests, strategies_tests
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <functional>
#include <numeric>
#include <opencv2/core.hpp>
#include <ostream>

#include "data/image_file.h"
#include "detect/state_layout.h"
#include "scenario/rank_roles.h"
#include "tests/support/catch.h"
#include "tests/support/scratch_folder.h"
#include "tests/tensor/thread_ranks.h"
#include "train/training_loss.h"
#include "validate/exactness.h"
#include "validate/flat_checksum.h"
#include "validate/make_strategy.h"
#include "validate/score_difference.h"
#include "validate/validation_server.h"

using namespace valbench;
using namespace valbench::test;
namespace fs = std::filesystem;

namespace {

constexpr int kClasses = 3;
constexpr std::size_t kImages = 13, kBatch = 2;  // 7 batches, the last of one image.

/// 13 square images of noise with two labels each, and a model that finds something everywhere.
class TrapSet {
 public:
  TrapSet() {
    for (StateEntry& entry : model_->state()) {
      if (entry.name.starts_with("model.24.m.") && entry.kind == StateEntry::Kind::bias) entry.tensor.detach().zero_();
    }
    cv::RNG random(7);
    for (std::size_t i = 0; i < kImages; ++i) {
      ImageEntry image{folder_.path() / ("image" + std::to_string(100 + i) + ".jpg"), 32, 32, {}, {}};
      const auto f = static_cast<float>(i) / kImages;
      image.labels = {{static_cast<float>(i % kClasses), 0.3F + 0.3F * f, 0.5F, 0.4F, 0.5F}, {0, 0.5F, 0.7F - 0.3F * f, 0.8F, 0.6F}};
      dataset_->images.push_back(image);
      write(i, 32);
    }
    dataset_->classes = kClasses;
    dataset_->names = {"a", "b", "c"};
  }

  std::vector<ImageEntry>& images() { return dataset_->images; }
  DetectionModel& model() { return *model_; }
  RunSpec& spec() { return spec_; }
  const fs::path& folder() const { return folder_.path(); }
  std::shared_ptr<const YoloDataset> dataset() const { return dataset_; }

  /// Gives image `i` another size.
  void write(std::size_t i, int side) {
    ImageEntry& image = dataset_->images.at(i);
    image.height = image.width = side;
    cv::Mat pixels(side, side, CV_8UC3);
    cv::theRNG().state = 1000 + i;
    cv::randu(pixels, cv::Scalar::all(0), cv::Scalar::all(256));
    write_jpeg(image.file, pixels, 90);
  }

 private:
  ScratchFolder folder_;
  std::shared_ptr<YoloDataset> dataset_ = std::make_shared<YoloDataset>();
  std::unique_ptr<DetectionModel> model_ = make_yolov5("yolov5n", kClasses, 3);
  RunSpec spec_;
};

/// The detector's last layers: all anchors everywhere say the same.
void make_heads_constant(DetectionModel& model, float objectness) {
  for (StateEntry& entry : model.state()) {
    if (!entry.name.starts_with("model.24.m.")) continue;
    const at::Tensor values = entry.tensor.detach();
    values.zero_();
    if (entry.kind == StateEntry::Kind::bias) values.view({3, 5 + kClasses}).select(1, 4).fill_(objectness);
  }
}

struct Trap {
  std::string name;
  std::function<void(TrapSet&)> set;
};
std::ostream& operator<<(std::ostream& out, const Trap& trap) { return out << trap.name; }

const std::vector<Trap> kTraps = {
    {"13 images in 7 batches", [](TrapSet&) {}},
    {"one batch", [](TrapSet& set) { set.spec().validation.subset_count = 2; }},
    {"images without labels",
     [](TrapSet& set) {
       for (const std::size_t i : {0, 1, 5, 12}) set.images()[i].labels.clear();
     }},
    {"no labels at all",
     [](TrapSet& set) {
       for (ImageEntry& image : set.images()) image.labels.clear();
     }},
    {"no detections", [](TrapSet& set) { make_heads_constant(set.model(), -20); }},
    {"a class that one rank alone sees",
     [](TrapSet& set) {
       for (ImageEntry& image : set.images()) image.labels[0].cls = image.labels[1].cls = 0;
       set.images()[0].labels[0].cls = 1;
       set.images()[12].labels[0].cls = 2;
     }},
    {"tied scores", [](TrapSet& set) { make_heads_constant(set.model(), 0); }},
    {"one rank with all the large images",
     [](TrapSet& set) {
       for (std::size_t i = 0; i < kImages; ++i) {
         if (i / kBatch % 2 == 1) set.write(i, 512);
       }
     }},
};

/// A strategy with the ranks that it needs.
struct Variant {
  Placement placement = Placement::rank0;
  ShardMode shard = ShardMode::batches;
  int dedicated = 0;
};
std::ostream& operator<<(std::ostream& out, const Variant& v) {
  return out << to_string(v.placement) << " " << to_string(v.shard) << " " << v.dedicated;
}

std::vector<Variant> variants(int ranks) {
  std::vector<Variant> all = {{Placement::rank0},
                              {Placement::sharded},
                              {Placement::sharded, ShardMode::batches_balanced},
                              {Placement::overlapped},
                              {Placement::deferred}};
  for (int dedicated = 1; dedicated < ranks && dedicated < 3; ++dedicated) {
    all.push_back({Placement::dedicated, ShardMode::batches, dedicated});
  }
  return all;
}

RunSpec spec_for(TrapSet& set, const Variant& variant, int ranks) {
  RunSpec spec = set.spec();
  spec.imgsz = 32, spec.ranks = ranks, spec.batch_size = 4 * ranks, spec.folder = set.folder();
  spec.validation.placement = variant.placement, spec.validation.shard = variant.shard;
  spec.validation.batch_size = kBatch, spec.validation.dedicated_ranks = variant.dedicated;
  return spec;
}

/// Epoch 4's weights, scored by a strategy on `ranks` ranks.
ValidationRecord score(TrapSet& set, const Variant& variant, int ranks, const RankOrder& order = {}) {
  const RunSpec spec = spec_for(set, variant, ranks);
  const auto trained = set.model().clone();
  const at::Tensor state = flatten_state(trained->state());
  std::vector<ValidationResult> results;
  ThreadWorld world(order);
  world.run(ranks, [&](Communicator& all) {
    Tracer tracer;
    const auto model = set.model().clone();
    std::vector<int> members(static_cast<std::size_t>(training_ranks(spec)));
    std::iota(members.begin(), members.end(), 0);
    const bool trains = all.rank() < training_ranks(spec);
    const bool apart = trains && variant.dedicated > 0;
    Communicator& own = apart ? all.make_group("training", members) : all;
    ValidationContext context{spec, own, tracer, set.dataset(), *model, make_training_loss(spec, *model), at::kCPU, &all};
    if (!trains) {
      ValidationServer(context).serve();
      return;
    }
    const auto strategy = make_strategy(context);
    const bool first = all.rank() == 0;
    strategy->submit({4, first ? state : at::Tensor(), first ? flat_checksum(state) : std::string(), /*required=*/true});
    std::vector<ValidationResult> mine = strategy->take_ready();
    for (ValidationResult& late : strategy->drain()) mine.push_back(std::move(late));
    strategy->close();
    if (first) results = std::move(mine);
    if (!first && !mine.empty()) throw Error("a rank other than 0 holds a result");
  });
  REQUIRE(results.size() == 1);
  CHECK(results[0].skipped.empty());
  CHECK(results[0].record.epoch == 4);
  CHECK(results[0].record.weights_checksum == flat_checksum(state));
  return results[0].record;
}

}  // namespace

TEST_CASE("with every trap in the data, every strategy on 1 to 4 ranks scores what rank 0 alone scores, bit for bit") {
  at::set_num_threads(1);
  const Trap trap = GENERATE(from_range(kTraps));
  INFO(trap);
  TrapSet set;
  trap.set(set);
  const ValidationRecord alone = score(set, {Placement::rank0}, 1);
  CHECK(alone.images == (trap.name == "one batch" ? 2 : 13));
  CHECK((alone.detections == 0) == (trap.name == "no detections"));
  CHECK((alone.labels == 0) == (trap.name == "no labels at all"));
  for (int ranks = 1; ranks <= 4; ++ranks) {
    for (const Variant& variant : variants(ranks)) {
      INFO(variant << " on " << ranks);
      const ValidationRecord record = score(set, variant, ranks);
      CHECK(first_difference(record, alone) == "");
      CHECK(record.images == alone.images);
    }
  }
}

TEST_CASE("whichever rank is slow, and whatever numbers the ranks have, the result is the same") {
  at::set_num_threads(1);
  TrapSet set;
  const ValidationRecord alone = score(set, {Placement::rank0}, 1);
  for (int ranks = 2; ranks <= 4; ++ranks) {
    for (const Variant& variant : variants(ranks)) {
      INFO(variant << " on " << ranks);
      CHECK(first_difference(score(set, variant, ranks, {.slow = 0}), alone) == "");
      CHECK(first_difference(score(set, variant, ranks, {.slow = ranks - 1}), alone) == "");
      CHECK(first_difference(score(set, variant, ranks, {.reversed = true}), alone) == "");
    }
  }
}

TEST_CASE("image numbers above 2^24 stay apart when they are sent and merged") {
  constexpr std::int64_t kBig = std::int64_t{1} << 24;
  std::vector<PartialScore> parts;
  for (const std::int64_t id : {kBig + 1, kBig, kBig + 2}) {  // As float32, the first is the second.
    PartialScore part;
    part.matches.images = {{id, 1, 1}};
    part.matches.detections = {{0.5F, 0, 0x3ff}};
    part.matches.label_classes = {0};
    parts.push_back(unpack_score(pack_score(part)));
  }
  const PartialScore merged = merge_scores(parts);
  REQUIRE(merged.matches.images.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(merged.matches.images[i].id == kBig + static_cast<std::int64_t>(i));
}

TEST_CASE("a rank that fails while others wait for it ends the test's other ranks, and its error comes out") {
  ThreadWorld world;
  CHECK_THROWS_WITH(world.run(3,
                              [](Communicator& communicator) {
                                if (communicator.rank() == 1) throw Error("no memory");
                                communicator.barrier();
                              }),
                    "no memory");
}
