using Xunit;

namespace Tessera.Scheduling.Tests;

public class StepCostTests
{
    static StepCost Learned(Func<int, long, double> truth, int steps = 300)
    {
        var cost = new StepCost();
        var random = new Random(1);
        for (int i = 0; i < steps; i++)
        {
            int tokens = i % 3 == 0 ? random.Next(1, 512) : random.Next(1, 33);
            long context = tokens * (long)random.Next(1, 4000);
            cost.Add(tokens, context, truth(tokens, context));
        }
        return cost;
    }

    [Fact]
    public void It_learns_what_a_step_costs()
    {
        static double Truth(int tokens, long context) => 8 + 0.4 * tokens + 2e-5 * context;
        var cost = Learned(Truth);
        foreach (var (tokens, context) in new[] { (1, 100L), (32, 32 * 1000L), (512, 512 * 2000L), (200, 0L) })
            Assert.InRange(cost.Estimate(tokens, context), Truth(tokens, context) * 0.9, Truth(tokens, context) * 1.1);
    }

    [Fact]
    public void It_follows_a_device_that_becomes_slower()
    {
        var cost = Learned((tokens, _) => tokens);
        var random = new Random(2);
        for (int i = 0; i < 400; i++)
        {
            int tokens = random.Next(1, 500);
            cost.Add(tokens, 0, 3 * tokens);
        }
        Assert.InRange(cost.Estimate(100, 0), 270, 330);
    }

    [Fact]
    public void No_part_is_below_0_whatever_was_measured()
    {
        var cost = Learned((tokens, _) => 100.0 / tokens);
        Assert.True(cost.Estimate(0, 0) >= 0);
        Assert.True(cost.Estimate(1000, 0) >= cost.Estimate(1, 0));
        Assert.True(cost.Estimate(1, 1 << 30) >= cost.Estimate(1, 1));
    }

    [Fact]
    public void The_most_that_fits_is_what_the_estimate_says()
    {
        var cost = Learned((tokens, context) => 5 + 0.3 * tokens + 1e-5 * context);
        foreach (int position in new[] { 0, 1000, 30000 })
        {
            int count = cost.Fitting(60, 4, 4000, position, 512);
            Assert.InRange(count, 1, 511);
            Assert.True(cost.Estimate(4 + count, 4000 + StepCost.Seen(position, count)) <= 60);
            Assert.True(cost.Estimate(5 + count, 4000 + StepCost.Seen(position, count + 1)) > 60);
        }
        Assert.Equal((0, 512), (cost.Fitting(1, 4, 4000, 0, 512), cost.Fitting(1e6, 4, 4000, 0, 512)));
        Assert.Equal(7 + 8 + 9, StepCost.Seen(6, 3));
    }
}
