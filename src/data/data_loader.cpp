#include "data/data_loader.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <opencv2/core.hpp>
#include <thread>

#include "base/error.h"
#include "data/quad.h"
#include "data/resized_images.h"
#include "data/sample.h"
#include "data/sampler.h"
#include "data/training_plan.h"

namespace valbench {
namespace {

at::Tensor empty_host(at::IntArrayRef sizes, at::ScalarType type, bool pinned) {
  return at::empty(sizes, at::TensorOptions().dtype(type).pinned_memory(pinned));
}

// A batch being filled. Workers own distinct samples of it; the fields below the line belong to the loader's mutex.
struct Slot {
  BatchPlan plan;
  int epoch = 0;
  Batch batch;
  std::vector<std::vector<LabelRow>> labels;  // per sample
  // ---
  std::size_t claimed = 0, finished = 0;
  bool ready = false;
  std::exception_ptr error;
};

void allocate(Slot& slot, bool pinned) {
  const auto count = static_cast<std::int64_t>(slot.plan.images.size());
  slot.labels.resize(slot.plan.images.size());
  slot.batch.geometry.resize(slot.plan.images.size());
  slot.batch.images = empty_host({count, 3, slot.plan.height, slot.plan.width}, at::kByte, pinned);
}

void store_sample(Slot& slot, std::size_t i, Sample&& sample) {
  const int h = slot.plan.height, w = slot.plan.width;
  if (sample.image.rows != h || sample.image.cols != w) throw Error("an image does not have the size of its batch");
  const std::size_t plane = static_cast<std::size_t>(h) * static_cast<std::size_t>(w);
  to_planes(sample.image, slot.batch.images.mutable_data_ptr<std::uint8_t>() + 3 * plane * i);
  slot.labels[i] = std::move(sample.labels);
  slot.batch.geometry[i] = sample.geometry;
}

void collate_quads(Slot& slot, std::uint64_t seed, bool pinned) {
  constexpr std::uint64_t kItem = std::uint64_t{1} << 63;  // no image has this number
  SampleRandom random(seed, static_cast<std::uint64_t>(slot.epoch),
                      kItem + static_cast<std::uint64_t>(slot.plan.index));
  std::vector<bool> enlarge(slot.labels.size() / 4);
  for (std::size_t i = 0; i < enlarge.size(); ++i) enlarge[i] = random.uniform() < 0.5;
  slot.batch.images = collate_four(slot.batch.images, slot.labels, enlarge, pinned);
  for (std::size_t i = 0; i < enlarge.size(); ++i) slot.batch.geometry[i] = slot.batch.geometry[4 * i];
  slot.batch.geometry.resize(enlarge.size());
}

void collect_targets(Slot& slot, bool pinned) {
  std::int64_t rows = 0;
  for (const auto& labels : slot.labels) rows += static_cast<std::int64_t>(labels.size());
  slot.batch.targets = empty_host({rows, 6}, at::kFloat, pinned);
  float* out = rows > 0 ? slot.batch.targets.mutable_data_ptr<float>() : nullptr;
  for (std::size_t i = 0; i < slot.labels.size(); ++i) {
    for (const LabelRow& r : slot.labels[i]) {
      for (const float value : {static_cast<float>(i), r.cls, r.x, r.y, r.w, r.h}) *out++ = value;
    }
  }
}

// What a loader hands out in a pass, and how an item is made.
struct LoaderSource {
  std::function<std::vector<BatchPlan>(int epoch)> plan;
  std::function<Sample(const BatchPlan& plan, std::size_t i, int epoch)> sample;  ///< The i-th of a batch.
  std::function<void(std::vector<double>)> set_class_map;                         ///< None: it changes nothing.
  std::optional<std::uint64_t> quad_seed;                                         ///< Collate four by this seed.
  std::shared_ptr<const ResizedImages> images;
  std::vector<std::string> warnings;
  std::size_t batches = 0;
  int workers = 1;
  bool pinned = false;
};

// Workers claim single samples in order, so that the first batch is ready as early as possible; batches wait in a
// bounded window.
class PrefetchingLoader : public DataLoader {
 public:
  explicit PrefetchingLoader(LoaderSource source) : source_(std::move(source)) {
    const int workers = std::max(1, source_.workers);
    depth_ = static_cast<std::size_t>(std::clamp(2 * workers, 2, kLargestDepth));
    for (int i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
  }
  ~PrefetchingLoader() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
  }

  void start(int epoch) override {
    std::vector<BatchPlan> plan = source_.plan(epoch);
    {
      const std::lock_guard lock(mutex_);
      plan_ = std::move(plan);
      epoch_ = epoch;
      opened_ = handed_out_ = 0;
      window_.clear();  // Samples in the making end in slots that nobody holds.
    }
    work_.notify_all();
  }

  std::optional<Batch> next() override {
    std::shared_ptr<Slot> slot;
    {
      std::unique_lock lock(mutex_);
      if (handed_out_ == plan_.size()) return std::nullopt;
      ready_.wait(lock, [this] { return !window_.empty() && window_.front()->ready; });
      slot = std::move(window_.front());
      window_.pop_front();
      ++handed_out_;
    }
    work_.notify_all();
    if (slot->error) std::rethrow_exception(slot->error);
    return std::move(slot->batch);
  }

  std::size_t batches() const override { return source_.batches; }
  void set_class_map(std::vector<double> class_map) override {
    if (source_.set_class_map) source_.set_class_map(std::move(class_map));
  }
  std::vector<std::string> warnings() const override { return source_.warnings; }

 private:
  static constexpr int kLargestDepth = 8;

  bool has_work() const {
    return (!window_.empty() && window_.back()->claimed < window_.back()->plan.images.size()) ||
           (opened_ < plan_.size() && window_.size() < depth_);
  }

  // The slot of the next unclaimed sample; called with the mutex held.
  std::shared_ptr<Slot> claim(std::size_t& sample) {
    if (window_.empty() || window_.back()->claimed == window_.back()->plan.images.size()) {
      auto slot = std::make_shared<Slot>();
      slot->plan = plan_[opened_++];
      slot->epoch = epoch_;
      window_.push_back(slot);
      try {
        allocate(*slot, source_.pinned);
      } catch (...) {
        slot->error = std::current_exception();
      }
    }
    sample = window_.back()->claimed++;
    return window_.back();
  }

  void fill(Slot& slot, std::size_t i) {
    const std::int64_t image = slot.plan.images[i];
    try {
      store_sample(slot, i, source_.sample(slot.plan, i, slot.epoch));
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      const std::string file = source_.images->dataset().images.at(static_cast<std::size_t>(image)).file.string();
      throw Error(file + ": the item cannot be made: " + error.what());
    }
  }

  void work() {
    at::init_num_threads();
    for (std::unique_lock lock(mutex_);;) {
      work_.wait(lock, [this] { return stopping_ || has_work(); });
      if (stopping_) return;
      std::size_t sample = 0;
      const std::shared_ptr<Slot> slot = claim(sample);
      const bool failed = slot->error != nullptr;
      lock.unlock();
      std::exception_ptr error;
      try {
        if (!failed) fill(*slot, sample);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      if (error && !slot->error) slot->error = error;
      if (++slot->finished < slot->plan.images.size()) continue;
      finish(*slot, lock);
    }
  }

  // The last sample of a batch is in: this thread alone still touches the slot.
  void finish(Slot& slot, std::unique_lock<std::mutex>& lock) {
    lock.unlock();
    try {
      if (!slot.error && source_.quad_seed) collate_quads(slot, *source_.quad_seed, source_.pinned);
      if (!slot.error) collect_targets(slot, source_.pinned);
    } catch (...) {
      slot.error = std::current_exception();
    }
    lock.lock();
    slot.ready = true;
    ready_.notify_all();
  }

  LoaderSource source_;
  std::size_t depth_ = 2;
  std::mutex mutex_;
  std::condition_variable work_, ready_;
  std::vector<BatchPlan> plan_;
  int epoch_ = 0;
  std::size_t opened_ = 0, handed_out_ = 0;
  std::deque<std::shared_ptr<Slot>> window_;  // batches opened and not handed out, in order
  bool stopping_ = false;
  std::vector<std::jthread> workers_;  // last: joined before anything else goes
};

void single_threaded_opencv() {
  static std::once_flag once;
  std::call_once(once, [] { cv::setNumThreads(0); });
}

void check_train_options(const TrainLoaderOptions& o) {
  if (o.batch_size < 1 || o.world_size < 1 || o.rank < 0 || o.rank >= o.world_size) {
    throw InputError("train loader: batch size " + std::to_string(o.batch_size) + " of rank " + std::to_string(o.rank) +
                     " of " + std::to_string(o.world_size) +
                     ": needs a batch of 1 or more and a rank below the world size");
  }
  if (o.image_weights && o.world_size > 1)
    throw InputError("image_weights needs a single rank, not " + std::to_string(o.world_size) + ". Set one of them off");
  if (o.image_weights && o.rect) {
    throw InputError("image_weights and rect do not go together: rect batches have a fixed order. Set one of them off");
  }
  if (o.quad && o.batch_size < 4) {
    throw InputError("quad collates four images: a batch of " + std::to_string(o.batch_size) +
                     " per rank is too small. Use batch_size 4 or more per rank");
  }
}

std::filesystem::path disk_folder(const ImageCache& cache) {
  return cache.mode == CacheMode::disk && !cache.folder.empty() ? cache.folder / "pixels" : std::filesystem::path();
}

// Mosaics that mix files of polygons and files of boxes go wrong in v7.0, and so here.
void warn_of_mixed_labels(const YoloDataset& dataset, const TrainLoaderOptions& options,
                          std::vector<std::string>& warnings) {
  std::int64_t polygons = 0, boxes = 0;
  for (const ImageEntry& image : dataset.images) ++(image.polygons.empty() ? boxes : polygons);
  boxes -= dataset.backgrounds;
  if (polygons == 0 || boxes <= 0 || options.compat != Compat::v7_0) return;
  warnings.push_back(std::to_string(polygons) + " label files hold polygons and " + std::to_string(boxes) +
                     " hold boxes: as in YOLOv5 v7.0, mosaics of both lose boxes. Set compat: head, or give all "
                     "labels one form");
}

// What an epoch's plan leaves for its samples. Plans change between passes, samples are made during them.
struct EpochState {
  std::mutex mutex;
  std::vector<double> class_map;
  std::shared_ptr<const std::vector<std::int64_t>> partners;
};

Sample train_item(const ResizedImages& images, const TrainLoaderOptions& options, EpochState& state,
                  const BatchPlan& plan, std::size_t i, int epoch) {
  const std::int64_t image = plan.images[i];
  if (!options.augment) return training_sample(images, image, {}, plan.height, plan.width);
  // Image weights take an image more than once an epoch, and every time it looks different.
  constexpr std::uint64_t kRepeated = std::uint64_t{1} << 40;
  const std::uint64_t item =
      options.image_weights
          ? kRepeated + static_cast<std::uint64_t>(plan.index) * static_cast<std::uint64_t>(options.batch_size) + i
          : static_cast<std::uint64_t>(image);
  SampleRandom random(options.seed, static_cast<std::uint64_t>(epoch), item);
  std::shared_ptr<const std::vector<std::int64_t>> partners;
  {
    const std::lock_guard lock(state.mutex);
    partners = state.partners;
  }
  const PartnerPool pool{static_cast<std::int64_t>(images.dataset().images.size()), partners.get(),
                         options.compat == Compat::v7_0};
  return training_sample(images, image, draw_item(options.hyp, options.imgsz, image, pool, random), plan.height,
                         plan.width);
}

TrainingPlanOptions plan_options(const TrainLoaderOptions& o) {
  TrainingPlanOptions plan{.imgsz = o.imgsz, .stride = o.stride, .batch_size = o.batch_size};
  plan.rank = o.rank, plan.world_size = o.world_size, plan.seed = o.seed;
  plan.rect = o.rect, plan.quad = o.quad, plan.image_weights = o.image_weights, plan.compat = o.compat;
  return plan;
}

}  // namespace

std::unique_ptr<DataLoader> make_train_loader(std::shared_ptr<const YoloDataset> dataset,
                                              const TrainLoaderOptions& given) {
  check_train_options(given);
  single_threaded_opencv();
  TrainLoaderOptions options = given;
  if (options.rect) options.hyp.mosaic = 0;
  ResizedImagesOptions keep{options.imgsz, options.augment, options.cache.mode == CacheMode::ram, 0, {}};
  keep.compat = options.compat;
  keep.disk_folder = disk_folder(options.cache);
  // Every rank keeps the whole set (mosaic partners come from all of it), and half of the memory stays free for
  // training.
  if (keep.keep) keep.budget_bytes = available_memory_bytes() / 2 / options.world_size;
  LoaderSource source;
  const auto images = std::make_shared<const ResizedImages>(dataset, keep);
  const auto state = std::make_shared<EpochState>();
  source.images = images;
  source.warnings = images->warnings();
  warn_of_mixed_labels(*dataset, options, source.warnings);
  source.workers = options.workers;
  source.pinned = options.pin_memory;
  if (options.quad) source.quad_seed = options.seed;
  source.batches = plan_training_epoch(*dataset, plan_options(options), 0, {}).batches.size();
  if (source.batches == 0) throw InputError("quad: " + std::to_string(dataset->images.size()) +
                                            " training images give no batch of four. Use a smaller batch_size");
  source.plan = [dataset, options, state](int epoch) {
    const std::lock_guard lock(state->mutex);
    TrainingPlan plan = plan_training_epoch(*dataset, plan_options(options), epoch, state->class_map);
    state->partners = std::make_shared<const std::vector<std::int64_t>>(std::move(plan.partners));
    return std::move(plan.batches);
  };
  source.set_class_map = [state](std::vector<double> class_map) {
    const std::lock_guard lock(state->mutex);
    state->class_map = std::move(class_map);
  };
  source.sample = [images, options, state](const BatchPlan& plan, std::size_t i, int epoch) {
    return train_item(*images, options, *state, plan, i, epoch);
  };
  return std::make_unique<PrefetchingLoader>(std::move(source));
}

std::unique_ptr<DataLoader> make_validation_loader(std::shared_ptr<const YoloDataset> dataset,
                                                   std::vector<BatchPlan> batches, int workers, bool cache_images,
                                                   bool pin_memory) {
  ValidationLoaderOptions options{workers, {cache_images ? CacheMode::ram : CacheMode::none, {}}, pin_memory};
  return make_validation_loader(std::move(dataset), std::move(batches), options);
}

std::unique_ptr<DataLoader> make_validation_loader(std::shared_ptr<const YoloDataset> dataset,
                                                   std::vector<BatchPlan> batches,
                                                   const ValidationLoaderOptions& options) {
  single_threaded_opencv();
  ResizedImagesOptions keep{0, false, options.cache.mode == CacheMode::ram, 0, {}};
  keep.compat = options.compat;
  keep.disk_folder = disk_folder(options.cache);
  if (keep.keep) keep.budget_bytes = available_memory_bytes() / 4;
  for (const BatchPlan& plan : batches) {
    keep.imgsz = plan.imgsz > 0 ? plan.imgsz : std::max(plan.height, plan.width);
    keep.used.insert(keep.used.end(), plan.images.begin(), plan.images.end());
  }
  LoaderSource source;
  const auto images = std::make_shared<const ResizedImages>(std::move(dataset), keep);
  source.images = images;
  source.warnings = images->warnings();
  source.batches = batches.size();
  source.workers = options.workers;
  source.pinned = options.pin_memory;
  source.plan = [plans = std::move(batches)](int) { return plans; };
  source.sample = [images](const BatchPlan& plan, std::size_t i, int) {
    return validation_sample(*images, plan.images[i], plan.height, plan.width);
  };
  return std::make_unique<PrefetchingLoader>(std::move(source));
}

}  // namespace valbench
