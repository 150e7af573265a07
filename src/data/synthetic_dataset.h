/// \file
/// A learnable, COCO-like data set of real JPEGs, made from a seed.
#pragma once
#include <filesystem>

#include "scenario/run_spec.h"

namespace valbench {

/// Writes folder/{images,labels}/{train,val}/ and folder/data.yaml (last, by rename: its presence means "complete").
/// Each class is a shape with its own colours and texture on a varied background. The same spec gives the same files on
/// every machine (of one TurboJPEG version). An earlier synthetic set in the folder is replaced. Throws InputError when
/// the spec is impossible or the folder holds anything else, RecordError when it cannot be written.
void make_synthetic_dataset(const SyntheticSpec& spec, const std::filesystem::path& folder);

}  // namespace valbench
