/// \file
/// Before anything is trained: do all ranks hold the same run and the same data? Each reads its own files, perhaps on a host of its own.
#pragma once
#include "comm/communicator.h"
#include "data/yolo_dataset.h"
#include "scenario/run_spec.h"

namespace valbench {

/// Throws InputError, on every rank, where one of them was started with another spec; the first field that differs is named. The paths of
/// the run folder and of data.yaml may differ: hosts may have them in different places. A collective.
void agree_on_spec(Communicator& communicator, const RunSpec& spec);

/// Throws InputError, on every rank, where two of them have scanned different images or labels; the first image that differs is named.
/// Null: a rank that does not need the split. A collective.
void agree_on_data(Communicator& communicator, const YoloDataset* train, const YoloDataset* val);

}  // namespace valbench
