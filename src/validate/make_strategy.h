/// \file
/// The one place that names the strategies.
#pragma once
#include <memory>

#include "validate/scorer.h"

namespace valbench {

/// The strategy of context.spec.validation on this rank.
std::unique_ptr<ValidationStrategy> make_strategy(const ValidationContext& context);

std::unique_ptr<ValidationStrategy> make_none_strategy(const ValidationContext& context);
std::unique_ptr<ValidationStrategy> make_rank0_strategy(const ValidationContext& context);
std::unique_ptr<ValidationStrategy> make_sharded_strategy(const ValidationContext& context);
std::unique_ptr<ValidationStrategy> make_dedicated_strategy(const ValidationContext& context);
std::unique_ptr<ValidationStrategy> make_overlapped_strategy(const ValidationContext& context);
std::unique_ptr<ValidationStrategy> make_deferred_strategy(const ValidationContext& context);

/// Scores the share of a rank in a validation beside training: submit() wants the weights on every rank and is called by the background
/// threads, whose communicator is the context's.
std::unique_ptr<ValidationStrategy> make_beside_strategy(const ValidationContext& context);

/// Does any rank that trains, other than rank 0, score a part of the validations?
bool every_rank_validates(const ValidationSpec& spec);

}  // namespace valbench
