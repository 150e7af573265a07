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
#include "data/resized_images.h"
#include "data/sample.h"
#include "data/sampler.h"

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
  std::uint8_t* base = slot.batch.images.mutable_data_ptr<std::uint8_t>() + 3 * plane * i;
  cv::Mat planes[3] = {cv::Mat(h, w, CV_8UC1, base), cv::Mat(h, w, CV_8UC1, base + plane),
                       cv::Mat(h, w, CV_8UC1, base + 2 * plane)};
  cv::split(sample.image, planes);
  slot.labels[i] = std::move(sample.labels);
  slot.batch.geometry[i] = sample.geometry;
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
  std::function<Sample(const BatchPlan& plan, std::int64_t image, int epoch)> sample;
  std::shared_ptr<const ResizedImages> images;
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
  std::vector<std::string> warnings() const override { return source_.images->warnings(); }

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
      store_sample(slot, i, source_.sample(slot.plan, image, slot.epoch));
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

std::vector<BatchPlan> training_batches(std::int64_t count, const TrainLoaderOptions& options, int epoch) {
  const std::vector<std::int64_t> order = training_order(count, options.rank, options.world_size, options.seed, epoch);
  std::vector<BatchPlan> plans;
  for (std::size_t begin = 0; begin < order.size(); begin += static_cast<std::size_t>(options.batch_size)) {
    const std::size_t end = std::min(order.size(), begin + static_cast<std::size_t>(options.batch_size));
    BatchPlan plan;
    plan.index = static_cast<std::int64_t>(plans.size());
    plan.images.assign(order.begin() + static_cast<std::ptrdiff_t>(begin),
                       order.begin() + static_cast<std::ptrdiff_t>(end));
    plan.imgsz = plan.height = plan.width = options.imgsz;
    plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace

std::unique_ptr<DataLoader> make_train_loader(std::shared_ptr<const YoloDataset> dataset,
                                              const TrainLoaderOptions& options) {
  if (options.batch_size < 1 || options.world_size < 1 || options.rank < 0 || options.rank >= options.world_size) {
    throw InputError("train loader: batch size " + std::to_string(options.batch_size) + " of rank " +
                     std::to_string(options.rank) + " of " + std::to_string(options.world_size) +
                     ": needs a batch of 1 or more and a rank below the world size");
  }
  single_threaded_opencv();
  const auto count = static_cast<std::int64_t>(dataset->images.size());
  ResizedImagesOptions keep{options.imgsz, options.augment, options.cache_images, 0, {}};
  // Every rank keeps the whole set (mosaic partners come from all of it), and half of the memory stays free for
  // training.
  keep.budget_bytes = available_memory_bytes() / 2 / options.world_size;
  LoaderSource source;
  const auto images = std::make_shared<const ResizedImages>(std::move(dataset), keep);
  source.images = images;
  source.batches = training_batches(count, options, 0).size();
  source.workers = options.workers;
  source.pinned = options.pin_memory;
  source.plan = [count, options](int epoch) { return training_batches(count, options, epoch); };
  source.sample = [images, count, options](const BatchPlan&, std::int64_t image, int epoch) {
    ItemDraw draw;
    if (options.augment) {
      SampleRandom random(options.seed, static_cast<std::uint64_t>(epoch), static_cast<std::uint64_t>(image));
      draw = draw_item(options.hyp, options.imgsz, image, count, random);
    }
    return training_sample(*images, image, draw);
  };
  return std::make_unique<PrefetchingLoader>(std::move(source));
}

std::unique_ptr<DataLoader> make_validation_loader(std::shared_ptr<const YoloDataset> dataset,
                                                   std::vector<BatchPlan> batches, int workers, bool cache_images,
                                                   bool pin_memory) {
  single_threaded_opencv();
  ResizedImagesOptions keep{0, false, cache_images, available_memory_bytes() / 4, {}};
  for (const BatchPlan& plan : batches) {
    keep.imgsz = plan.imgsz > 0 ? plan.imgsz : std::max(plan.height, plan.width);
    keep.used.insert(keep.used.end(), plan.images.begin(), plan.images.end());
  }
  LoaderSource source;
  const auto images = std::make_shared<const ResizedImages>(std::move(dataset), keep);
  source.images = images;
  source.batches = batches.size();
  source.workers = workers;
  source.pinned = pin_memory;
  source.plan = [plans = std::move(batches)](int) { return plans; };
  source.sample = [images](const BatchPlan& plan, std::int64_t image, int) {
    return validation_sample(*images, image, plan.height, plan.width);
  };
  return std::make_unique<PrefetchingLoader>(std::move(source));
}

}  // namespace valbench
